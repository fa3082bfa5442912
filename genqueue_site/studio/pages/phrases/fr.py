"""French."""

from genqueue_site.studio.pages.phrases.shape import Phrases, lines

FRENCH = Phrases(
    marks=("« ", " »"),
    colon=" : ",
    tails=lines("""
        les données en bref
        ce qu’il faut savoir
        une vue d’ensemble
        les points essentiels
        une aide pour choisir
        un petit guide
        tout sur une seule page
        à regarder de plus près
        bon à savoir
        à lire avant de choisir
    """),
    headings=lines("""
        Les détails en mots simples
        Ce que disent les données
        Comment comparer
        Avant de décider
        Les points à vérifier
        Les questions à se poser
        De la liste au choix
        Ce qui compte au quotidien
        Bien lire la liste
        Choisir sans se presser
        Vos besoins d’abord
        Les détails côte à côte
    """),
    leads=lines("""
        Si vous cherchez {key}, cette page présente {name} avec des mots simples.
        Cette page sur {key} montre ce que l’on sait de {name} et rien de plus.
        Ici, il est question de {key} : les données de {name} sont reprises telles quelles.
        On parle beaucoup de {key}, mais voici seulement les données de {name}.
        Votre recherche sur {key} mène à {name}, et cette page en donne les détails connus.
        Sur le thème {key}, voici réunis les détails connus de {name}.
    """),
    asides=lines("""
        Le texte reste court pour que vous trouviez vite votre réponse.
        Vous pouvez tout lire ou aller tout de suite à la partie utile.
        Rien n’a été ajouté pour faire plus joli.
        Gardez ce qui vous aide et laissez le reste.
        La liste des détails se trouve plus bas.
        À la fin, vous trouverez des réponses aux questions courantes.
        C’est une bonne base pour vos propres notes.
        Elle s’adresse à ceux qui aiment vérifier avant de choisir.
    """),
    lead_facts=lines("""
        Un premier détail est {label}, avec la valeur {value}.
        Pour commencer, on lit {label} avec {value}.
        Une ligne des données porte {label} et, à côté, {value}.
        Les données commencent par {label} et donnent {value}.
    """),
    openings=lines("""
        Une bonne page sur {key} commence par ce qui est connu.
        Ceux qui lisent sur {key} veulent surtout des détails clairs.
        Derrière {key} se cachent bien des choses, alors cette page s’en tient aux données.
        Pour comparer des offres sur {key}, des détails clairs sont la meilleure aide.
        Cette partie résume ce que les données disent sur {key}.
        Avec {key}, on se perd vite, c’est pourquoi les détails passent en premier.
    """),
    details=lines("""
        Sous {label}, les données de {name} indiquent {value}.
        Pour {name}, la ligne {label} donne {value}.
        La ligne {label} montre {value} pour {name}.
        Quant à {label}, on lit pour {name} : {value}.
        Le produit {name} figure avec {value} sous {label}.
        Cherchez {label} et vous lirez {value} à côté de {name}.
        Dans les données de {name}, {value} va avec {label}.
        À côté de {label}, la liste indique {value} pour {name}.
        L’entrée {label} concerne {name} et dit {value}.
    """),
    entries=lines("""
        Sous {label}, on lit {value}.
        L’entrée {label} dit {value}.
        Pour {label}, les données donnent {value}.
        La ligne {label} indique {value}.
        On trouve {value} sous {label}.
        Quant à {label}, la réponse est {value}.
    """),
    returns=lines("""
        Gardez en tête ce que vous attendez de {key}.
        Ainsi, la recherche sur {key} reste courte.
        Bien des textes sur {key} oublient de tels détails.
        Cette partie de {key}, chacun peut la vérifier.
        Ainsi, les mots {key} deviennent quelque chose que l’on peut comparer.
    """),
    others=lines("""
        Ceux qui lisent cette page cherchent aussi {keys}.
        Tout près de ce thème, il y a {keys}.
        Les mêmes détails servent pour {keys}.
    """),
    remarks=lines("""
        Un détail n’est utile que s’il va avec vos projets.
        Certains détails comptent tous les jours, d’autres presque jamais.
        Ce qui manque ici ne se trouve pas dans les données.
        Vous pouvez sauter une ligne qui ne vous concerne pas.
        De bonnes notes sont courtes et franches.
        Vous savez mieux que personne comment vous vivez.
        L’ordre des détails ne dit rien de leur poids.
        Une pause entre la lecture et le choix ne fait pas de mal.
        Chaque ligne de la liste peut être vérifiée.
        De grands mots ne vous aideraient pas ici.
        La première impression peut changer au second regard.
        Personne n’a besoin de tous les détails à la fois.
        Une liste se lit plus vite qu’un long texte.
        Tout ce que vous voyez ici vient des données fournies.
        Les noms et les chiffres sont repris tels quels.
        Les petites différences sont souvent une affaire de goût.
        Il est utile de savoir pourquoi on cherche.
        Le bon choix d’un ami n’est pas toujours le vôtre.
        Les questions ouvertes se posent avant la commande.
        Vous pouvez imprimer cette page et marquer ce qui compte.
    """),
    beginnings=lines("""
        Avant de décider,
        Si le temps manque,
        En cas de doute,
        Au début de la recherche,
        Pour un choix juste,
        Avec un but clair,
        Pour éviter un détour,
        En premier lieu,
        Un peu plus tard,
    """),
    endings=lines("""
        lisez les détails ligne par ligne.
        notez ce qui vous est indispensable.
        comparez ce qui peut se comparer.
        gardez cette page à côté de vos notes.
        voyez si chaque entrée va avec vos projets.
        parlez-en à ceux qui s’en serviront avec vous.
        regardez d’abord les faits.
        laissez de côté ce qui compte peu.
        revenez encore une fois à la liste.
        pensez au lieu où vous vous en servirez.
    """),
    subjects=lines("""
        Une courte liste
        Un regard calme
        Une simple comparaison
        Une seconde lecture
        Une note sur papier
        Un coup d’œil aux données
        Un échange avec d’autres
        Une question claire
    """),
    predicates=lines("""
        vous aide à bien choisir.
        montre ce qui reste ouvert.
        prend peu de temps.
        rend le choix plus simple.
        évite du travail plus tard.
        met de l’ordre dans les détails.
        en dit souvent plus qu’un long texte.
        facilite la suite.
    """),
    key_questions=lines("""
        Que faut-il regarder pour {key} ? | Commencez par les détails de cette page et comparez-les à vos besoins.
        Comment s’y retrouver dans {key} ? | Décidez de ce qui compte pour vous, puis lisez la liste.
        Cette page est-elle un bon début pour {key} ? | Elle réunit les détails connus, vous voyez donc ce qui convient.
    """),
    fact_questions=lines("""
        Que disent les données sur {label} ? | Pour {name}, elles donnent {value}.
        Que lit-on sous {label} ? | L’entrée pour {name} est {value}.
        Qu’en est-il de {label} pour {name} ? | Selon les données, la réponse est {value}.
        Quelle entrée va avec {label} ? | Pour {name}, il s’agit de {value}, sans changement.
    """),
    questions=lines("""
        D’où viennent ces détails ? | Ils viennent des données fournies pour cette page.
        Pourquoi certains détails manquent-ils ? | On montre seulement ce qui est dans les données, sans rien deviner.
        Comment se servir de la liste ? | Marquez les lignes qui comptent pour vous et oubliez les autres.
        Peut-on se fier aux mots employés ? | Les noms et les chiffres sont repris sans aucun changement.
        Que faire si ma question reste sans réponse ? | Demandez au vendeur avant de commander et notez sa réponse.
        À qui s’adresse cette page ? | À tous ceux qui veulent des détails clairs sans grands mots.
        Comment comparer deux offres ? | Mettez les mêmes lignes côte à côte et regardez les différences.
        Par quoi commencer ? | Pensez au lieu et au moment où vous vous en servirez.
        Une longue liste vaut-elle mieux ? | Non, une courte liste qui va avec vos besoins vaut plus.
    """),
    answers=lines("""
        Il y a une entrée à ce sujet : {label}, avec {value}.
        Oui, on lit dans les données {label} avec {value}.
        La ligne {label} répond à cela, on y lit {value}.
    """),
    descriptions=lines("""
        {key} : les détails connus de {name} en mots simples.
        Tous les détails connus de {name} sur une page dédiée à {key}.
        {name} en mots simples, pour ceux qui cherchent {key}.
        Ce que les données disent de {name} et de {key}.
        Vous cherchez {key} ? Voici les détails de {name}.
        Une page claire sur {key} avec les détails de {name}.
    """),
    blurbs=lines("""
        Comparez et choisissez à votre rythme.
        Clair, court et facile à vérifier.
        Avec des réponses aux questions courantes.
        Jetez un œil à la liste.
        Des faits simples, sans grands mots.
        Voyez ce qui vous convient.
    """),
)
