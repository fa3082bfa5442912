"""Swedish."""

from genqueue_site.studio.pages.phrases.shape import Phrases, lines

SWEDISH = Phrases(
    marks=("”", "”"),
    tails=lines("""
        uppgifterna i korthet
        bra att veta
        enkelt förklarat
        de viktigaste punkterna
        hjälp att välja
        en kort guide
        allt på en sida
        en närmare titt
        en tydlig överblick
        läs det här först
    """),
    headings=lines("""
        Uppgifterna med enkla ord
        Vad uppgifterna säger
        Så jämför du
        Innan du bestämmer dig
        Punkter att kontrollera
        Frågor till dig själv
        Från lista till val
        Vad som räknas i vardagen
        Så läser du listan
        Välj i lugn och ro
        Dina egna behov först
        Uppgifter sida vid sida
    """),
    leads=lines("""
        Den som söker {key} hittar här uppgifterna om {name} med enkla ord.
        Den här sidan om {key} visar vad man vet om {name} och inget mer.
        Här handlar det om {key}: uppgifterna om {name} står som de kom.
        Det sägs mycket om {key}, men här står bara uppgifterna om {name}.
        Sökningen efter {key} leder till {name}, och sidan ger de kända uppgifterna.
        På temat {key} är de kända uppgifterna om {name} samlade här.
    """),
    asides=lines("""
        Texten är kort så att du snabbt hittar ditt svar.
        Du kan läsa allt eller gå direkt till den del du behöver.
        Inget har lagts till för att det ska låta bättre.
        Ta med det som hjälper dig och lämna resten.
        Listan med uppgifter finns längre ner.
        I slutet finns svar på vanliga frågor.
        Använd den som grund för dina egna anteckningar.
        Den är till för alla som gärna kontrollerar innan de väljer.
    """),
    lead_facts=lines("""
        En första uppgift är {label}, med värdet {value}.
        Till att börja med står det {label} med {value}.
        En rad bland uppgifterna heter {label}, och bredvid står {value}.
        Uppgifterna börjar med {label} och anger {value}.
    """),
    openings=lines("""
        En bra sida om {key} börjar med det man vet.
        Den som läser om {key} vill framför allt ha tydliga uppgifter.
        Bakom {key} kan det finnas mycket, så den här sidan håller sig till uppgifterna.
        När du jämför utbudet av {key} hjälper tydliga uppgifter mest.
        Den här delen samlar det som uppgifterna säger om {key}.
        Med {key} går man lätt vilse, därför kommer uppgifterna först.
    """),
    details=lines("""
        Under {label} står det {value} för {name}.
        För {name} anger raden {label} värdet {value}.
        Raden {label} visar {value} för {name}.
        När det gäller {label} anger uppgifterna om {name} {value}.
        Hos {name} finns {value} under {label}.
        Leta efter {label}, så läser du {value} bredvid {name}.
        I uppgifterna om {name} hör {value} till {label}.
        Bredvid {label} har listan {value} för {name}.
        Raden {label} hör till {name} och anger {value}.
    """),
    entries=lines("""
        Under {label} står det {value}.
        Raden {label} anger {value}.
        För {label} ger uppgifterna {value}.
        Vid {label} läser du {value}.
        Du hittar {value} under {label}.
        När det gäller {label} är svaret {value}.
    """),
    returns=lines("""
        Tänk på vad du väntar dig av {key}.
        Då blir sökandet efter {key} kort.
        I många texter om {key} saknas sådana uppgifter.
        Den här delen av {key} kan alla kontrollera själva.
        På så sätt blir orden {key} något som går att jämföra.
    """),
    others=lines("""
        Den som läser sidan söker ofta också efter {keys}.
        Nära det här ämnet ligger {keys}.
        Samma uppgifter hjälper vid {keys}.
    """),
    remarks=lines("""
        En uppgift är bara till nytta om den passar dina planer.
        Vissa uppgifter räknas varje dag, andra nästan aldrig.
        Det som saknas här finns inte bland uppgifterna.
        En rad som inte gäller dig kan du hoppa över.
        Bra anteckningar är korta och ärliga.
        Du vet själv bäst hur du lever och arbetar.
        Ordningen säger inget om hur viktig en uppgift är.
        En paus mellan läsning och val skadar inte.
        Varje rad i listan går att kontrollera.
        Stora ord skulle inte hjälpa dig här.
        Det första intrycket kan ändras vid nästa titt.
        Ingen behöver alla uppgifter på en gång.
        En lista går fortare att läsa än en lång text.
        Allt du ser här kommer från de givna uppgifterna.
        Namn och siffror står här precis som de kom.
        Små skillnader är ofta en smaksak.
        Det är bra att veta varför man letar.
        Det som är rätt för en vän är kanske fel för dig.
        Öppna frågor ställs bäst innan du beställer.
        Du kan skriva ut sidan och stryka under det som räknas.
    """),
    beginnings=lines("""
        Före beslutet
        När tiden är knapp
        I tveksamma fall
        I början av sökandet
        För ett rättvist val
        Med ett tydligt mål
        Utan omvägar
        Som ett första steg
        Lite senare
    """),
    endings=lines("""
        lönar det sig att läsa uppgifterna rad för rad.
        är det bra att skriva upp vad du inte kan vara utan.
        hjälper det att jämföra lika med lika.
        kan du lägga sidan bredvid dina egna anteckningar.
        kan du se efter om varje uppgift passar din plan.
        kan du fråga dem som ska använda den med dig.
        bör du först titta på enkla fakta.
        kan det som betyder lite få vänta.
        kan du gå tillbaka till listan en gång till.
        är det bra att tänka på platsen där den ska användas.
    """),
    subjects=lines("""
        En kort lista
        En lugn blick
        En enkel jämförelse
        En andra läsning
        En anteckning på papper
        En titt på uppgifterna
        Ett samtal med andra
        En tydlig fråga
    """),
    predicates=lines("""
        hjälper dig att välja rätt.
        visar vad som ännu är öppet.
        tar inte lång tid.
        gör valet enkelt.
        sparar arbete senare.
        ger ordning bland många uppgifter.
        säger ofta mer än en lång text.
        gör nästa steg lätt.
    """),
    key_questions=lines("""
        Vad ska man titta på när det gäller {key}? | Börja med uppgifterna på sidan och jämför dem med dina behov.
        Hur hittar jag rätt bland {key}? | Bestäm vad som är viktigt för dig och läs sedan listan.
        Är den här sidan en bra början för {key}? | Den samlar de kända uppgifterna, så att du ser vad som passar.
    """),
    fact_questions=lines("""
        Vad säger uppgifterna om {label}? | För {name} anger de {value}.
        Vad står det under {label}? | Raden för {name} anger {value}.
        Hur ser det ut för {name} med {label}? | Enligt uppgifterna är svaret {value}.
        Vilket värde hör till {label}? | För {name} är det {value}, precis som det kom.
    """),
    questions=lines("""
        Var kommer uppgifterna ifrån? | De kommer från det underlag som gavs för den här sidan.
        Varför saknas vissa uppgifter? | Bara det som finns i underlaget visas, och inget gissas.
        Hur använder jag listan? | Stryk under raderna som räknas för dig och hoppa över de andra.
        Kan jag lita på orden? | Namn och siffror upprepas utan någon ändring.
        Vad gör jag om min fråga inte får svar här? | Fråga säljaren innan du beställer och skriv upp svaret.
        Vem är sidan till för? | Den är till för alla som vill ha tydliga uppgifter utan stora ord.
        Hur jämför jag två erbjudanden? | Lägg samma rader bredvid varandra och titta på skillnaderna.
        Vad ska jag göra först? | Fundera på var och när du ska använda den.
        Är en lång lista bättre? | Nej, en kort lista som passar dina behov är mer värd.
    """),
    answers=lines("""
        Det finns en rad om det: {label}, med {value}.
        Ja, bland uppgifterna står {label} med {value}.
        Det svarar raden {label} på, där det står {value}.
    """),
    descriptions=lines("""
        {key}: de kända uppgifterna om {name} med enkla ord.
        Alla kända uppgifter om {name} på en sida om {key}.
        {name} med enkla ord, för den som söker {key}.
        Vad uppgifterna säger om {name} och {key}.
        Söker du {key}? Här finns uppgifterna om {name}.
        En tydlig sida om {key} med uppgifterna om {name}.
    """),
    blurbs=lines("""
        Jämför och välj i lugn och ro.
        Tydligt, kort och lätt att kontrollera.
        Med svar på vanliga frågor.
        Ta en titt på listan.
        Enkla fakta, inga stora ord.
        Se vad som passar dig.
    """),
)
