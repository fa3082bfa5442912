"""German."""

from genqueue_site.studio.pages.phrases.shape import Phrases, lines

GERMAN = Phrases(
    marks=("„", "“"),
    tails=lines("""
        die Angaben im Überblick
        was man wissen sollte
        kurz erklärt
        das Wichtigste in Kürze
        Hilfe bei der Auswahl
        ein kurzer Überblick
        alle Angaben auf einer Seite
        ein genauer Blick
        gut zu wissen
        die Daten auf einen Blick
    """),
    headings=lines("""
        Die Angaben in einfachen Worten
        Was in den Daten steht
        So gelingt der Vergleich
        Vor der Entscheidung
        Was man prüfen sollte
        Fragen an sich selbst
        Von der Liste zur Auswahl
        Was im Alltag zählt
        So liest man die Liste
        In Ruhe auswählen
        Zuerst der eigene Bedarf
        Angaben nebeneinander
    """),
    leads=lines("""
        Wer nach {key} sucht, findet hier die Angaben zu {name} in einfachen Worten.
        Diese Seite zu {key} zeigt, was über {name} bekannt ist, und lässt alles andere weg.
        Hier geht es um {key}: Die Angaben zu {name} stehen so da, wie sie geliefert wurden.
        Rund um {key} gibt es viele Worte, hier stehen nur die Angaben zu {name}.
        Die Suche nach {key} führt zu {name}, und diese Seite nennt die bekannten Angaben.
        Zum Thema {key} sind hier die bekannten Daten zu {name} gesammelt.
    """),
    asides=lines("""
        Der Text bleibt kurz, damit man schnell fündig wird.
        Man kann ihn ganz lesen oder gleich zum passenden Teil gehen.
        Nichts wurde ergänzt, nur damit es besser klingt.
        Nehmen Sie mit, was Ihnen hilft.
        Die Liste der Angaben folgt weiter unten.
        Am Ende stehen Antworten auf häufige Fragen.
        So entsteht eine gute Grundlage für eigene Notizen.
        Sie ist für alle da, die vor der Auswahl gern prüfen.
    """),
    lead_facts=lines("""
        Eine erste Angabe ist {label} mit dem Eintrag {value}.
        Am Anfang steht {label} mit {value}.
        In den Daten steht zum Beispiel {label} und daneben {value}.
        Die Daten beginnen mit {label} und nennen {value}.
    """),
    openings=lines("""
        Eine gute Seite zu {key} beginnt mit dem, was bekannt ist.
        Wer über {key} liest, möchte vor allem klare Angaben.
        Hinter {key} kann vieles stecken, darum bleibt diese Seite bei den Daten.
        Beim Vergleich von Angeboten zu {key} helfen klare Angaben am meisten.
        Dieser Teil fasst zusammen, was die Daten zu {key} hergeben.
        Bei {key} verliert man leicht den Überblick, deshalb kommen die Angaben zuerst.
    """),
    details=lines("""
        Unter {label} steht bei {name} der Wert {value}.
        Zu {name} nennt der Eintrag {label} den Wert {value}.
        Die Zeile {label} zeigt für {name} den Eintrag {value}.
        Was {label} angeht, steht in den Daten zu {name}: {value}.
        Bei {name} findet sich {value} unter {label}.
        Wer nach {label} schaut, liest bei {name}: {value}.
        In den Daten zu {name} gehört {value} zu {label}.
        Neben {label} führt die Liste für {name} den Wert {value}.
        Der Eintrag {label} gehört zu {name} und lautet {value}.
    """),
    entries=lines("""
        Unter {label} steht {value}.
        Der Eintrag {label} lautet {value}.
        Zu {label} nennen die Daten {value}.
        Die Zeile {label} zeigt {value}.
        Bei {label} liest man {value}.
        Für {label} ist {value} angegeben.
    """),
    returns=lines("""
        Behalten Sie im Blick, was Sie von {key} erwarten.
        So bleibt die Suche nach {key} kurz.
        In vielen Texten über {key} fehlen solche Angaben.
        Diesen Teil von {key} kann jeder selbst prüfen.
        So wird aus dem Wort {key} etwas, das man vergleichen kann.
    """),
    others=lines("""
        Wer diese Seite liest, sucht oft auch nach {keys}.
        Nah an diesem Thema liegen {keys}.
        Dieselben Angaben helfen bei {keys}.
    """),
    remarks=lines("""
        Eine Angabe nützt nur, wenn sie zum eigenen Plan passt.
        Manche Angaben zählen jeden Tag, andere fast nie.
        Was hier fehlt, geben die Daten nicht her.
        Eine Zeile, die Sie nicht betrifft, dürfen Sie auslassen.
        Gute Notizen sind kurz und ehrlich.
        Sie wissen selbst am besten, wie Sie leben und arbeiten.
        Die Reihenfolge der Angaben sagt nichts über ihr Gewicht.
        Eine Pause zwischen Lesen und Auswählen schadet nie.
        Jede Zeile der Liste lässt sich prüfen.
        Große Worte würden hier nicht weiterhelfen.
        Der erste Eindruck kann sich beim zweiten Blick ändern.
        Niemand braucht alle Angaben auf einmal.
        Eine Liste liest sich schneller als ein langer Text.
        Alles auf dieser Seite stammt aus den gelieferten Daten.
        Namen und Zahlen stehen hier genau so, wie sie geliefert wurden.
        Kleine Unterschiede sind oft Geschmackssache.
        Es hilft, den Grund der Suche zu kennen.
        Was für Freunde gut ist, muss für Sie nicht passen.
        Offene Fragen klärt man am besten vor der Bestellung.
        Man kann die Seite drucken und Wichtiges markieren.
    """),
    beginnings=lines("""
        Vor der Entscheidung
        Bei wenig Zeit
        Im Zweifel
        Zu Beginn der Suche
        Für eine faire Auswahl
        Mit einem klaren Ziel
        Ohne Umweg
        Im ersten Schritt
        Etwas später
    """),
    endings=lines("""
        lohnt es sich, die Angaben Zeile für Zeile zu lesen.
        sollte man aufschreiben, was auf keinen Fall fehlen darf.
        hilft ein Vergleich von Gleichem mit Gleichem.
        legt man diese Seite am besten neben die eigenen Notizen.
        prüft man am besten, ob jede Angabe zum Plan passt.
        fragt man am besten die Menschen, die es mit benutzen.
        zählen zuerst die nüchternen Daten.
        kann man weglassen, was keine Rolle spielt.
        geht man am besten noch einmal zurück zur Liste.
        sollte man an den Ort denken, an dem es gebraucht wird.
    """),
    subjects=lines("""
        Eine kurze Liste
        Ein ruhiger Blick
        Ein einfacher Vergleich
        Ein zweites Lesen
        Eine Notiz auf Papier
        Ein Blick in die Daten
        Ein Gespräch mit anderen
        Eine klare Frage
    """),
    predicates=lines("""
        hilft bei der Auswahl.
        zeigt, was noch offen ist.
        kostet wenig Zeit.
        hält die Auswahl einfach.
        spart später Arbeit.
        bringt Ordnung in viele Angaben.
        sagt oft mehr als ein langer Text.
        macht den nächsten Schritt leicht.
    """),
    key_questions=lines("""
        Worauf kommt es bei {key} an? | Beginnen Sie mit den Angaben dieser Seite und vergleichen Sie sie mit Ihrem Bedarf.
        Wie behalte ich bei {key} den Überblick? | Legen Sie fest, was Ihnen wichtig ist, und lesen Sie danach die Liste.
        Ist diese Seite ein guter Anfang für {key}? | Sie zeigt die bekannten Angaben an einem Ort, so sieht man, was passt.
    """),
    fact_questions=lines("""
        Was sagen die Daten zu {label}? | Zu {name} nennen sie {value}.
        Was steht unter {label}? | Der Eintrag zu {name} lautet {value}.
        Wie steht es bei {name} um {label}? | In den Daten heißt die Antwort {value}.
        Welcher Eintrag gehört zu {label}? | Bei {name} ist es {value}, genau wie geliefert.
    """),
    questions=lines("""
        Woher kommen diese Angaben? | Sie kommen aus den Daten, die für diese Seite geliefert wurden.
        Warum fehlen manche Angaben? | Gezeigt wird nur, was in den Daten steht, und geraten wird nicht.
        Wie nutze ich die Liste am besten? | Markieren Sie die Zeilen, die für Sie zählen, und lassen Sie die anderen weg.
        Kann ich mich auf den Wortlaut verlassen? | Namen und Zahlen werden so wiederholt, wie sie geliefert wurden.
        Was tun, wenn meine Frage hier offen bleibt? | Fragen Sie vor der Bestellung beim Händler nach.
        Für wen ist diese Seite gedacht? | Für alle, die klare Angaben ohne große Worte möchten.
        Wie vergleiche ich zwei Angebote? | Legen Sie gleiche Zeilen nebeneinander und achten Sie auf die Unterschiede.
        Was sollte ich zuerst tun? | Überlegen Sie, wo und wie oft Sie es brauchen.
        Ist eine lange Liste besser? | Nein, eine kurze Liste, die zum Bedarf passt, ist mehr wert.
    """),
    answers=lines("""
        Dazu gibt es einen Eintrag: {label} mit {value}.
        Ja, dazu steht etwas in den Daten, nämlich {label} mit {value}.
        Das beantwortet die Zeile {label}, dort steht {value}.
    """),
    descriptions=lines("""
        {key}: die bekannten Angaben zu {name} in einfachen Worten.
        Alle bekannten Angaben zu {name} auf einer Seite über {key}.
        {name} in einfachen Worten, für die Suche nach {key}.
        Was die Daten über {name} und {key} sagen.
        Auf der Suche nach {key}? Hier stehen die Angaben zu {name}.
        Eine klare Seite zu {key} mit den Angaben zu {name}.
    """),
    blurbs=lines("""
        Vergleichen und in Ruhe auswählen.
        Klar, kurz und leicht zu prüfen.
        Mit Antworten auf häufige Fragen.
        Ein Blick in die Liste lohnt sich.
        Klare Daten ohne große Worte.
        Sehen Sie, was zu Ihnen passt.
    """),
)
