"""Italian."""

from genqueue_site.studio.pages.phrases.shape import Phrases, lines

ITALIAN = Phrases(
    marks=("«", "»"),
    tails=lines("""
        i dati in breve
        le cose da sapere
        uno sguardo d’insieme
        i punti principali
        un aiuto per scegliere
        una breve guida
        tutto in una pagina
        uno sguardo da vicino
        buono a sapersi
        da leggere prima di scegliere
    """),
    headings=lines("""
        I dettagli in parole semplici
        Che cosa dicono i dati
        Come fare un confronto
        Prima di decidere
        I punti da controllare
        Domande da farsi
        Dalla lista alla scelta
        Che cosa conta ogni giorno
        Come leggere la lista
        Scegliere con calma
        Prima di tutto i propri bisogni
        I dettagli fianco a fianco
    """),
    leads=lines("""
        Se cercate {key}, questa pagina presenta {name} con parole semplici.
        Questa pagina su {key} mostra che cosa si sa di {name} e niente di più.
        Qui si parla di {key}: i dati di {name} sono riportati così come sono arrivati.
        Si parla molto di {key}, ma qui ci sono soltanto i dati di {name}.
        La ricerca di {key} porta a {name}, e questa pagina ne dà i dettagli noti.
        Sul tema {key} sono raccolti qui i dettagli noti di {name}.
    """),
    asides=lines("""
        Il testo resta breve, così la risposta si trova presto.
        Potete leggere tutto o andare subito alla parte che vi serve.
        Nulla è stato aggiunto per farlo suonare meglio.
        Prendete quello che vi aiuta e lasciate il resto.
        La lista dei dettagli si trova più in basso.
        Alla fine ci sono risposte alle domande più comuni.
        È una buona base per i vostri appunti.
        È pensata per chi ama controllare prima di scegliere.
    """),
    lead_facts=lines("""
        Un primo dettaglio è {label}, con il valore {value}.
        Per cominciare si legge {label} con {value}.
        Una riga dei dati porta {label} e, accanto, {value}.
        I dati cominciano con {label} e danno {value}.
    """),
    openings=lines("""
        Una buona pagina su {key} comincia da ciò che si sa.
        Chi legge di {key} vuole soprattutto dettagli chiari.
        Dietro a {key} possono esserci molte cose, perciò questa pagina segue i dati.
        Per confrontare offerte di {key} servono soprattutto dettagli chiari.
        Questa parte riassume che cosa dicono i dati su {key}.
        Con {key} ci si perde facilmente, quindi i dettagli vengono prima.
    """),
    details=lines("""
        Alla voce {label} i dati di {name} indicano {value}.
        Per {name} la voce {label} dice {value}.
        La riga {label} mostra {value} per {name}.
        Quanto a {label}, i dati di {name} danno {value}.
        Il prodotto {name} compare con {value} alla voce {label}.
        Cercate {label} e leggerete {value} accanto a {name}.
        Nei dati di {name} il valore {value} sta sotto {label}.
        Accanto a {label} la lista riporta {value} per {name}.
        La voce {label} riguarda {name} e riporta {value}.
    """),
    entries=lines("""
        Alla voce {label} si legge {value}.
        La voce {label} riporta {value}.
        Per {label} i dati danno {value}.
        La riga {label} indica {value}.
        Si trova {value} alla voce {label}.
        Quanto a {label}, la risposta è {value}.
    """),
    returns=lines("""
        Tenete presente che cosa vi aspettate da {key}.
        Così la ricerca di {key} resta breve.
        Molti testi su {key} dimenticano questi dettagli.
        Questa parte di {key} la può controllare chiunque.
        Così le parole {key} diventano qualcosa che si può confrontare.
    """),
    others=lines("""
        Chi legge questa pagina cerca anche {keys}.
        Vicino a questo tema ci sono {keys}.
        Gli stessi dettagli servono per {keys}.
    """),
    remarks=lines("""
        Un dettaglio è utile solo se va d’accordo con i vostri piani.
        Alcuni dettagli contano ogni giorno, altri quasi mai.
        Quello che manca qui non si trova nei dati.
        Potete saltare una riga che non vi riguarda.
        I buoni appunti sono brevi e sinceri.
        Voi sapete meglio di tutti come vivete.
        L’ordine dei dettagli non dice nulla del loro peso.
        Una pausa tra la lettura e la scelta non fa male.
        Ogni riga della lista si può controllare.
        Le grandi parole qui non aiuterebbero.
        La prima impressione può cambiare al secondo sguardo.
        Nessuno ha bisogno di tutti i dettagli insieme.
        Una lista si legge più in fretta di un testo lungo.
        Tutto quello che vedete qui viene dai dati forniti.
        Nomi e cifre sono ripetuti così come sono arrivati.
        Le piccole differenze sono spesso una questione di gusto.
        Aiuta sapere perché si cerca.
        La scelta giusta per un amico può non esserlo per voi.
        Le domande aperte si fanno meglio prima di ordinare.
        Potete stampare questa pagina e segnare ciò che conta.
    """),
    beginnings=lines("""
        Prima di decidere,
        Se il tempo è poco,
        In caso di dubbio,
        All’inizio della ricerca,
        Per una scelta equa,
        Con una meta chiara,
        Per evitare un giro lungo,
        Come primo passo,
        Un po’ più tardi,
    """),
    endings=lines("""
        leggete i dettagli riga per riga.
        scrivete ciò di cui non potete fare a meno.
        confrontate solo cose simili.
        tenete questa pagina accanto ai vostri appunti.
        guardate se ogni voce va bene per i vostri piani.
        parlatene con chi lo userà insieme a voi.
        guardate prima di tutto i fatti.
        lasciate fuori ciò che conta poco.
        tornate ancora una volta alla lista.
        pensate al luogo in cui lo userete.
    """),
    subjects=lines("""
        Una lista breve
        Uno sguardo calmo
        Un semplice confronto
        Una seconda lettura
        Una nota su carta
        Uno sguardo ai dati
        Un colloquio con altri
        Una domanda chiara
    """),
    predicates=lines("""
        aiuta a scegliere bene.
        mostra che cosa resta aperto.
        richiede poco tempo.
        rende più semplice la scelta.
        evita lavoro in seguito.
        mette ordine nei dettagli.
        dice spesso più di un testo lungo.
        rende facile il passo successivo.
    """),
    key_questions=lines("""
        Che cosa conviene guardare per {key}? | Cominciate dai dettagli di questa pagina e confrontateli con i vostri bisogni.
        Come orientarsi tra {key}? | Decidete che cosa conta per voi e poi leggete la lista.
        Questa pagina è un buon inizio per {key}? | Raccoglie i dettagli noti, così si vede che cosa va bene.
    """),
    fact_questions=lines("""
        Che cosa dicono i dati su {label}? | Per {name} danno {value}.
        Che cosa si legge alla voce {label}? | La riga di {name} riporta {value}.
        Come si presenta {name} alla voce {label}? | Secondo i dati la risposta è {value}.
        Quale valore va con {label}? | Per {name} è {value}, così come è arrivato.
    """),
    questions=lines("""
        Da dove vengono questi dettagli? | Vengono dai dati forniti per questa pagina.
        Perché mancano alcuni dettagli? | Si mostra solo quello che c’è nei dati, senza indovinare.
        Come si usa la lista? | Segnate le righe che contano per voi e lasciate le altre.
        Posso fidarmi delle parole usate? | Nomi e cifre sono ripetuti senza alcun cambiamento.
        E se la mia domanda resta senza risposta? | Chiedete al venditore prima di ordinare e scrivete la risposta.
        Per chi è questa pagina? | Per chi vuole dettagli chiari senza grandi parole.
        Come confronto due offerte? | Mettete le stesse righe fianco a fianco e guardate le differenze.
        Che cosa devo fare per prima cosa? | Pensate a dove e quando lo userete.
        È meglio una lista lunga? | No, vale di più una lista breve adatta ai vostri bisogni.
    """),
    answers=lines("""
        C’è una voce su questo: {label}, con {value}.
        Sì, nei dati si legge {label} con {value}.
        A questo risponde la riga {label}, dove si legge {value}.
    """),
    descriptions=lines("""
        {key}: i dettagli noti di {name} in parole semplici.
        Tutti i dettagli noti di {name} in una pagina su {key}.
        {name} in parole semplici, per chi cerca {key}.
        Che cosa dicono i dati di {name} e di {key}.
        Cercate {key}? Ecco i dettagli di {name}.
        Una pagina chiara su {key} con i dettagli di {name}.
    """),
    blurbs=lines("""
        Confrontate e scegliete con calma.
        Chiaro, breve e facile da controllare.
        Con risposte alle domande comuni.
        Date uno sguardo alla lista.
        Fatti semplici, senza grandi parole.
        Vedete che cosa fa per voi.
    """),
)
