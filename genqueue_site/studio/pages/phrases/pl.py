"""Polish."""

from genqueue_site.studio.pages.phrases.shape import Phrases, lines

POLISH = Phrases(
    marks=("„", "”"),
    tails=lines("""
        dane w skrócie
        co warto wiedzieć
        krótki przegląd
        najważniejsze punkty
        pomoc w wyborze
        krótki przewodnik
        wszystko na jednej stronie
        spojrzenie z bliska
        dobrze wiedzieć
        przeczytaj przed wyborem
    """),
    headings=lines("""
        Dane w prostych słowach
        Co mówią dane
        Jak porównywać
        Przed decyzją
        Co warto sprawdzić
        Pytania do siebie
        Od listy do wyboru
        Co liczy się na co dzień
        Jak czytać listę
        Wybór bez pośpiechu
        Najpierw własne potrzeby
        Dane obok siebie
    """),
    leads=lines("""
        Szukasz hasła {key}? Ta strona opisuje prostymi słowami: {name}.
        Ta strona na temat {key} pokazuje tylko to, co wiadomo pod nazwą „{name}”.
        Tutaj chodzi o hasło {key}, a dane pod nazwą „{name}” podano bez zmian.
        O haśle {key} mówi się wiele, ale tutaj są tylko dane pod nazwą „{name}”.
        Hasło {key} prowadzi do nazwy „{name}”, a ta strona podaje znane dane.
        Na temat {key} zebrano tutaj znane dane pod nazwą „{name}”.
    """),
    asides=lines("""
        Tekst jest krótki, aby łatwo znaleźć odpowiedź.
        Można przeczytać całość albo od razu przejść do potrzebnej części.
        Niczego nie dodano, aby brzmiało to lepiej.
        Weź to, co pomaga, a resztę zostaw.
        Lista danych znajduje się niżej.
        Na końcu są odpowiedzi na częste pytania.
        To dobra podstawa do własnych notatek.
        Jest dla osób, które wolą sprawdzić, zanim wybiorą.
    """),
    lead_facts=lines("""
        Pierwsza pozycja to {label}, a jej wartość to {value}.
        Na początek jest {label}, a obok {value}.
        Jeden z wierszy to {label}, a przy nim widać {value}.
        Dane zaczyna pozycja {label} z wpisem {value}.
    """),
    openings=lines("""
        Dobra strona na temat {key} zaczyna się od tego, co wiadomo.
        Kto czyta o haśle {key}, chce przede wszystkim jasnych danych.
        Za hasłem {key} może kryć się wiele, dlatego ta strona trzyma się danych.
        Przy porównaniu ofert z hasłem {key} najbardziej pomagają jasne dane.
        Ta część zbiera to, co dane mówią na temat {key}.
        W temacie {key} łatwo się zgubić, więc najpierw są dane.
    """),
    details=lines("""
        W pozycji {label} dane produktu {name} podają {value}.
        Przy produkcie {name} wiersz {label} podaje {value}.
        Wiersz {label} pokazuje {value} przy nazwie {name}.
        Co do pozycji {label}, przy nazwie {name} widać {value}.
        Produkt {name} ma wpis {value} w pozycji {label}.
        Znajdź pozycję {label}, a przeczytasz {value} przy nazwie {name}.
        W danych produktu {name} wartość {value} należy do pozycji {label}.
        Obok pozycji {label} lista podaje {value} dla nazwy {name}.
        Pozycja {label} dotyczy produktu {name} i brzmi {value}.
    """),
    entries=lines("""
        W pozycji {label} jest {value}.
        Wiersz {label} podaje {value}.
        Dla pozycji {label} dane podają {value}.
        Przy pozycji {label} widać {value}.
        W wierszu {label} można przeczytać {value}.
        Co do pozycji {label}, odpowiedź to {value}.
    """),
    returns=lines("""
        Pamiętaj, czego oczekujesz, gdy szukasz hasła {key}.
        Dzięki temu szukanie hasła {key} trwa krótko.
        W wielu tekstach na temat {key} brakuje takich danych.
        Tę część tematu {key} każdy może sprawdzić sam.
        Tak hasło {key} staje się czymś, co można porównać.
    """),
    others=lines("""
        Kto czyta tę stronę, szuka też haseł {keys}.
        Blisko tego tematu są hasła {keys}.
        Te same dane pomagają przy hasłach {keys}.
    """),
    remarks=lines("""
        Informacja jest przydatna tylko wtedy, gdy pasuje do planów.
        Niektóre dane liczą się co dzień, inne prawie nigdy.
        Czego tu nie ma, tego nie ma w danych.
        Wiersz, który cię nie dotyczy, możesz pominąć.
        Dobre notatki są krótkie i szczere.
        Najlepiej sam wiesz, jak żyjesz i pracujesz.
        Kolejność danych nic nie mówi o ich wadze.
        Przerwa między czytaniem a wyborem nie szkodzi.
        Każdy wiersz listy można sprawdzić.
        Wielkie słowa tu nie pomogą.
        Pierwsze wrażenie może się zmienić po drugim spojrzeniu.
        Nikt nie potrzebuje wszystkich danych naraz.
        Listę czyta się szybciej niż długi tekst.
        Wszystko, co tu widać, pochodzi z podanych danych.
        Nazwy i liczby powtórzono bez zmian.
        Małe różnice to często kwestia gustu.
        Warto wiedzieć, po co się szuka.
        To, co dobre dla przyjaciela, nie musi być dobre dla ciebie.
        Otwarte pytania najlepiej zadać przed zakupem.
        Stronę można wydrukować i zaznaczyć to, co ważne.
    """),
    beginnings=lines("""
        Przed decyzją
        Gdy brakuje czasu,
        W razie wątpliwości
        Na początku szukania
        Dla dobrego wyboru
        Mając jasny cel,
        Aby nie błądzić,
        Na początek
        Nieco później
    """),
    endings=lines("""
        przeczytaj dane wiersz po wierszu.
        zapisz to, bez czego nie możesz się obejść.
        porównuj tylko rzeczy podobne.
        trzymaj tę stronę obok własnych notatek.
        sprawdź, czy każdy wpis pasuje do planów.
        zapytaj osoby, które też będą z tego korzystać.
        spójrz najpierw na same fakty.
        pomiń to, co mało ważne.
        wróć jeszcze raz do listy.
        pomyśl o miejscu, w którym to będzie potrzebne.
    """),
    subjects=lines("""
        Krótka lista
        Spokojne spojrzenie
        Proste porównanie
        Drugie czytanie
        Notatka na papierze
        Rzut oka na dane
        Rozmowa z innymi
        Jasne pytanie
    """),
    predicates=lines("""
        pomaga dobrze wybrać.
        pokazuje, co jest jeszcze otwarte.
        zajmuje mało czasu.
        ułatwia wybór.
        oszczędza pracy w przyszłości.
        wprowadza ład w wielu danych.
        mówi często więcej niż długi tekst.
        ułatwia następny krok.
    """),
    key_questions=lines("""
        Na co patrzeć przy haśle {key}? | Zacznij od danych na tej stronie i porównaj je z własnymi potrzebami.
        Jak nie zgubić się w temacie {key}? | Ustal, co jest ważne dla ciebie, a potem przeczytaj listę.
        Czy ta strona to dobry początek dla hasła {key}? | Zbiera znane dane w jednym miejscu, więc widać, co pasuje.
    """),
    fact_questions=lines("""
        Co mówią dane o pozycji {label}? | Przy nazwie {name} podają {value}.
        Co widać w pozycji {label}? | Wpis dla nazwy {name} to {value}.
        Jak wypada {name} w pozycji {label}? | Według danych odpowiedź to {value}.
        Jaki wpis ma pozycja {label}? | Przy produkcie {name} jest to {value}, bez żadnej zmiany.
    """),
    questions=lines("""
        Skąd pochodzą te dane? | Pochodzą z informacji podanych dla tej strony.
        Dlaczego niektórych danych brakuje? | Pokazano tylko to, co jest w danych, i niczego nie zgadywano.
        Jak korzystać z listy? | Zaznacz wiersze, które są ważne, a inne pomiń.
        Czy można ufać tym słowom? | Nazwy i liczby powtórzono tak, jak zostały podane.
        Co zrobić, gdy nie ma tu odpowiedzi? | Zapytaj sprzedawcę przed zakupem i zapisz odpowiedź.
        Dla kogo jest ta strona? | Dla każdego, kto chce jasnych danych bez wielkich słów.
        Jak porównać dwie oferty? | Ułóż te same wiersze obok siebie i zobacz różnice.
        Co zrobić najpierw? | Pomyśl, gdzie i kiedy będzie to potrzebne.
        Czy długa lista jest lepsza? | Nie, więcej warta jest krótka lista, która pasuje do potrzeb.
    """),
    answers=lines("""
        Jest o tym wpis: {label}, a obok {value}.
        Tak, w danych jest pozycja {label} z wpisem {value}.
        Odpowiada na to wiersz {label}, w którym jest {value}.
    """),
    descriptions=lines("""
        {key}: znane dane pod nazwą „{name}” w prostych słowach.
        Wszystkie znane dane pod nazwą „{name}” na stronie o haśle {key}.
        {name} w prostych słowach, dla szukających hasła {key}.
        Co mówią dane: {name} oraz {key}.
        Szukasz hasła {key}? Tu są dane pod nazwą „{name}”.
        Jasna strona na temat {key} z danymi pod nazwą „{name}”.
    """),
    blurbs=lines("""
        Porównaj i wybierz bez pośpiechu.
        Jasno, krótko i łatwo do sprawdzenia.
        Z odpowiedziami na częste pytania.
        Rzuć okiem na listę.
        Proste fakty, bez wielkich słów.
        Zobacz, co pasuje do ciebie.
    """),
)
