"""Dutch."""

from genqueue_site.studio.pages.phrases.shape import Phrases, lines

DUTCH = Phrases(
    marks=("“", "”"),
    tails=lines("""
        de gegevens op een rij
        goed om te weten
        kort uitgelegd
        de hoofdpunten
        hulp bij het kiezen
        een korte gids
        alles op één pagina
        van dichtbij bekeken
        een helder overzicht
        lees dit eerst
    """),
    headings=lines("""
        De gegevens in gewone woorden
        Wat er in de gegevens staat
        Zo vergelijk je
        Voordat je beslist
        Punten om na te gaan
        Vragen aan jezelf
        Van lijst naar keuze
        Wat elke dag telt
        Zo lees je de lijst
        Rustig kiezen
        Eerst je eigen wensen
        Gegevens naast elkaar
    """),
    leads=lines("""
        Wie zoekt naar {key}, vindt hier de gegevens van {name} in gewone woorden.
        Deze pagina over {key} laat zien wat er over {name} bekend is, en niets meer.
        Hier gaat het om {key}: de gegevens van {name} staan er zoals ze zijn geleverd.
        Over {key} wordt veel gezegd, maar hier staan alleen de gegevens van {name}.
        Het zoeken naar {key} leidt naar {name}, en deze pagina geeft wat er bekend is.
        Rond het thema {key} staan hier de bekende gegevens van {name} bij elkaar.
    """),
    asides=lines("""
        De tekst blijft kort, zodat je snel vindt wat je zoekt.
        Je kunt alles lezen of meteen naar het juiste deel gaan.
        Er is niets bij verzonnen om het mooier te maken.
        Neem mee wat je helpt en laat de rest liggen.
        De lijst met gegevens staat verder naar beneden.
        Aan het eind vind je antwoorden op veel gestelde vragen.
        Gebruik het als basis voor je eigen notities.
        De tekst is er voor wie graag nakijkt voor het kiezen.
    """),
    lead_facts=lines("""
        Een eerste gegeven is {label}, met als waarde {value}.
        Om te beginnen staat er {label} met {value}.
        Een regel in de gegevens heet {label}, met daarnaast {value}.
        De gegevens beginnen met {label} en noemen {value}.
    """),
    openings=lines("""
        Een goede pagina over {key} begint met wat bekend is.
        Wie over {key} leest, wil vooral heldere gegevens.
        Achter {key} kan van alles schuilgaan, daarom blijft deze pagina bij de gegevens.
        Bij het vergelijken van aanbod voor {key} helpen heldere gegevens het meest.
        Dit deel vat samen wat de gegevens over {key} zeggen.
        Bij {key} raak je snel de weg kwijt, dus komen de gegevens eerst.
    """),
    details=lines("""
        Onder {label} staat bij {name} de waarde {value}.
        Voor {name} geeft de regel {label} de waarde {value}.
        De regel {label} toont {value} voor {name}.
        Wat {label} betreft, noemen de gegevens van {name} {value}.
        Bij {name} vind je {value} onder {label}.
        Zoek {label} op en je leest {value} naast {name}.
        In de gegevens van {name} hoort {value} bij {label}.
        Naast {label} noemt de lijst {value} voor {name}.
        De regel {label} hoort bij {name} en vermeldt {value}.
    """),
    entries=lines("""
        Onder {label} staat {value}.
        De regel {label} vermeldt {value}.
        Voor {label} geven de gegevens {value}.
        Bij {label} lees je {value}.
        Je vindt {value} onder {label}.
        Wat {label} betreft, is het antwoord {value}.
    """),
    returns=lines("""
        Houd voor ogen wat je verwacht van {key}.
        Zo blijft het zoeken naar {key} kort.
        In veel teksten over {key} ontbreken zulke gegevens.
        Dit deel van {key} kan iedereen zelf nagaan.
        Zo worden de woorden {key} iets wat je kunt vergelijken.
    """),
    others=lines("""
        Wie deze pagina leest, zoekt vaak ook naar {keys}.
        Dicht bij dit onderwerp liggen {keys}.
        Dezelfde gegevens helpen bij {keys}.
    """),
    remarks=lines("""
        Een gegeven is pas nuttig als het bij je plannen past.
        Sommige gegevens tellen elke dag, andere bijna nooit.
        Wat hier ontbreekt, staat niet in de gegevens.
        Een regel die niet voor jou geldt, mag je overslaan.
        Goede notities zijn kort en eerlijk.
        Je weet zelf het best hoe je leeft en werkt.
        De volgorde van de gegevens zegt niets over hun gewicht.
        Een pauze tussen lezen en kiezen kan geen kwaad.
        Elke regel van de lijst is na te gaan.
        Grote woorden zouden hier niet helpen.
        De eerste indruk kan veranderen als je nog eens kijkt.
        Niemand heeft alle gegevens tegelijk nodig.
        Een lijst leest sneller dan een lange tekst.
        Alles wat je hier ziet, komt uit de geleverde gegevens.
        Namen en cijfers staan hier zoals ze zijn geleverd.
        Kleine verschillen zijn vaak een kwestie van smaak.
        Het helpt om te weten waarom je zoekt.
        Wat goed is voor een vriend, past misschien niet bij jou.
        Open vragen stel je het best voor je bestelt.
        Je kunt deze pagina printen en aanstrepen wat telt.
    """),
    beginnings=lines("""
        Voor de beslissing
        Bij weinig tijd
        Bij twijfel
        Aan het begin van de zoektocht
        Voor een eerlijke keuze
        Met een helder doel
        Zonder omweg
        Als eerste stap
        Iets later
    """),
    endings=lines("""
        loont het om de gegevens regel voor regel te lezen.
        schrijf je best op wat je niet kunt missen.
        helpt het om gelijke dingen te vergelijken.
        leg je deze pagina het best naast je eigen notities.
        kijk je het best of elk gegeven bij het plan past.
        vraag je het best de mensen die het ook gaan gebruiken.
        tellen eerst de gewone feiten.
        laat je weg wat er weinig toe doet.
        ga je het best nog eens terug naar de lijst.
        denk je het best aan de plek waar je het gebruikt.
    """),
    subjects=lines("""
        Een korte lijst
        Een rustige blik
        Een gewone vergelijking
        Nog een keer lezen
        Een notitie op papier
        Een blik op de gegevens
        Een gesprek met anderen
        Een heldere vraag
    """),
    predicates=lines("""
        helpt bij het kiezen.
        laat zien wat nog open is.
        kost weinig tijd.
        houdt de keuze eenvoudig.
        spaart later werk.
        brengt orde in veel gegevens.
        zegt vaak meer dan een lange tekst.
        maakt de volgende stap makkelijk.
    """),
    key_questions=lines("""
        Waar let je op bij {key}? | Begin met de gegevens op deze pagina en leg ze naast je eigen wensen.
        Hoe houd je overzicht bij {key}? | Bepaal wat voor jou telt en lees daarna de lijst.
        Is deze pagina een goed begin voor {key}? | De bekende gegevens staan er bij elkaar, zo zie je wat past.
    """),
    fact_questions=lines("""
        Wat zeggen de gegevens over {label}? | Voor {name} noemen ze {value}.
        Wat staat er onder {label}? | Bij {name} staat daar {value}.
        Hoe zit het bij {name} met {label}? | Volgens de gegevens is het antwoord {value}.
        Welke waarde hoort bij {label}? | Voor {name} is dat {value}, precies zoals geleverd.
    """),
    questions=lines("""
        Waar komen deze gegevens vandaan? | Ze komen uit de gegevens die voor deze pagina zijn geleverd.
        Waarom ontbreken er soms gegevens? | Alleen wat er in de gegevens staat, is te zien, en er wordt niet geraden.
        Hoe gebruik je de lijst? | Streep aan wat voor jou telt en laat de rest weg.
        Kan ik op de woorden vertrouwen? | Namen en cijfers worden herhaald zoals ze zijn geleverd.
        En als mijn vraag hier geen antwoord krijgt? | Vraag het de verkoper voor je bestelt en noteer het antwoord.
        Voor wie is deze pagina? | Voor iedereen die heldere gegevens wil zonder grote woorden.
        Hoe vergelijk ik twee keer aanbod? | Leg gelijke regels naast elkaar en kijk naar de verschillen.
        Wat doe ik het eerst? | Bedenk waar en wanneer je het gaat gebruiken.
        Is een lange lijst beter? | Nee, een korte lijst die bij je past, is meer waard.
    """),
    answers=lines("""
        Daar is een regel voor: {label}, met {value}.
        Ja, in de gegevens staat {label} met {value}.
        Dat lees je bij {label}, daar staat {value}.
    """),
    descriptions=lines("""
        {key}: de bekende gegevens van {name} in gewone woorden.
        Alle bekende gegevens van {name} op een pagina over {key}.
        {name} in gewone woorden, voor wie zoekt naar {key}.
        Wat de gegevens zeggen over {name} en {key}.
        Op zoek naar {key}? Hier staan de gegevens van {name}.
        Een heldere pagina over {key} met de gegevens van {name}.
    """),
    blurbs=lines("""
        Vergelijk en kies in alle rust.
        Helder, kort en makkelijk na te gaan.
        Met antwoorden op veel gestelde vragen.
        Werp een blik op de lijst.
        Gewone feiten, geen grote woorden.
        Zie wat er bij je past.
    """),
)
