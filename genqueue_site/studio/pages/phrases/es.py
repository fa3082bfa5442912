"""Spanish."""

from genqueue_site.studio.pages.phrases.shape import Phrases, lines

SPANISH = Phrases(
    marks=("«", "»"),
    tails=lines("""
        los datos de un vistazo
        lo que conviene saber
        un resumen claro
        los puntos clave
        ayuda para elegir
        una guía breve
        todo en una sola página
        una mirada de cerca
        bueno de saber
        para leer antes de elegir
    """),
    headings=lines("""
        Los detalles en palabras sencillas
        Lo que dicen los datos
        Cómo comparar
        Antes de decidir
        Puntos que conviene revisar
        Preguntas para uno mismo
        De la lista a la elección
        Lo que cuenta cada día
        Cómo leer la lista
        Elegir con calma
        Primero sus necesidades
        Los detalles lado a lado
    """),
    leads=lines("""
        Si busca {key}, esta página presenta {name} con palabras sencillas.
        Esta página sobre {key} muestra lo que se sabe de {name} y nada más.
        Aquí se trata de {key}: los datos de {name} aparecen tal como llegaron.
        Se habla mucho de {key}, pero aquí solo están los datos de {name}.
        La búsqueda de {key} lleva a {name}, y esta página da los detalles conocidos.
        Sobre el tema {key} se reúnen aquí los detalles conocidos de {name}.
    """),
    asides=lines("""
        El texto es corto para que encuentre pronto su respuesta.
        Puede leerlo entero o ir directamente a la parte que necesita.
        No se ha añadido nada para que suene mejor.
        Quédese con lo que le ayuda y deje el resto.
        La lista de detalles está más abajo.
        Al final hay respuestas a preguntas comunes.
        Es una buena base para sus propias notas.
        Está pensada para quien prefiere revisar antes de elegir.
    """),
    lead_facts=lines("""
        Un primer detalle es {label}, con el valor {value}.
        Para empezar, se lee {label} con {value}.
        Una línea de los datos lleva {label} y, al lado, {value}.
        Los datos empiezan con {label} y dan {value}.
    """),
    openings=lines("""
        Una buena página sobre {key} empieza por lo que se sabe.
        Quien lee sobre {key} quiere, ante todo, detalles claros.
        Detrás de {key} puede haber muchas cosas, por eso esta página sigue los datos.
        Al comparar ofertas de {key}, lo que más ayuda son los detalles claros.
        Esta parte resume lo que dicen los datos sobre {key}.
        Con {key} es fácil perderse, así que los detalles van primero.
    """),
    details=lines("""
        En {label}, los datos de {name} indican {value}.
        Para {name}, la entrada {label} dice {value}.
        La línea {label} muestra {value} para {name}.
        En cuanto a {label}, los datos de {name} dan {value}.
        El producto {name} aparece con {value} en {label}.
        Busque {label} y leerá {value} junto a {name}.
        En los datos de {name}, {value} corresponde a {label}.
        Junto a {label}, la lista da {value} para {name}.
        La entrada {label} es de {name} y pone {value}.
    """),
    entries=lines("""
        En {label} se lee {value}.
        La entrada {label} dice {value}.
        Para {label}, los datos dan {value}.
        La línea {label} indica {value}.
        Se encuentra {value} en {label}.
        En cuanto a {label}, la respuesta es {value}.
    """),
    returns=lines("""
        Tenga presente lo que espera de {key}.
        Así, la búsqueda de {key} resulta corta.
        Muchos textos sobre {key} olvidan estos detalles.
        Esta parte de {key} la puede revisar cualquiera.
        Así, las palabras {key} pasan a ser algo que se puede comparar.
    """),
    others=lines("""
        Quien lee esta página también busca {keys}.
        Cerca de este tema están {keys}.
        Los mismos detalles sirven para {keys}.
    """),
    remarks=lines("""
        Un detalle solo es útil si encaja con sus planes.
        Algunos detalles cuentan todos los días, otros casi nunca.
        Lo que falta aquí no está en los datos.
        Puede saltarse una línea que no le afecta.
        Las buenas notas son cortas y sinceras.
        Usted sabe mejor que nadie cómo vive.
        El orden de los detalles no dice nada de su peso.
        Una pausa entre leer y elegir no hace daño.
        Cada línea de la lista se puede revisar.
        Las grandes palabras no le ayudarían aquí.
        La primera impresión puede cambiar al mirar otra vez.
        Nadie necesita todos los detalles a la vez.
        Una lista se lee más rápido que un texto largo.
        Todo lo que ve aquí sale de los datos entregados.
        Los nombres y las cifras se repiten tal como llegaron.
        Las pequeñas diferencias suelen ser cuestión de gusto.
        Ayuda saber por qué se busca.
        Lo que le va bien a un amigo quizá no le sirva a usted.
        Las dudas se aclaran mejor antes de pedir.
        Puede imprimir esta página y marcar lo que cuenta.
    """),
    beginnings=lines("""
        Antes de decidir,
        Si hay poco tiempo,
        En caso de duda,
        Al principio de la búsqueda,
        Para elegir bien,
        Con una meta clara,
        Para evitar un rodeo,
        Como primer paso,
        Algo más tarde,
    """),
    endings=lines("""
        lea los detalles línea por línea.
        anote aquello que no puede faltar.
        compare lo que se puede comparar.
        tenga esta página al lado de sus notas.
        mire si cada entrada encaja con sus planes.
        hable con quienes lo van a usar con usted.
        mire primero los hechos.
        deje fuera lo que poco importa.
        vuelva una vez más a la lista.
        piense en el lugar donde lo va a usar.
    """),
    subjects=lines("""
        Una lista corta
        Una mirada tranquila
        Una comparación sencilla
        Una segunda lectura
        Una nota en papel
        Un vistazo a los datos
        Una charla con otros
        Una pregunta clara
    """),
    predicates=lines("""
        ayuda a elegir bien.
        muestra lo que queda abierto.
        lleva poco tiempo.
        hace más fácil la elección.
        ahorra trabajo después.
        pone orden en los detalles.
        dice a menudo más que un texto largo.
        facilita el siguiente paso.
    """),
    key_questions=lines("""
        ¿Qué conviene mirar cuando se trata de {key}? | Empiece por los detalles de esta página y compárelos con lo que necesita.
        ¿Cómo orientarse en {key}? | Decida lo que es importante para usted y lea después la lista.
        ¿Es esta página un buen comienzo para {key}? | Reúne los detalles conocidos, así se ve lo que encaja.
    """),
    fact_questions=lines("""
        ¿Qué dicen los datos sobre {label}? | Para {name} dan {value}.
        ¿Qué aparece en {label}? | La entrada de {name} es {value}.
        ¿Cómo queda {name} en {label}? | Según los datos, la respuesta es {value}.
        ¿Qué entrada corresponde a {label}? | En {name} es {value}, tal como llegó.
    """),
    questions=lines("""
        ¿De dónde vienen estos detalles? | Vienen de los datos que se entregaron para esta página.
        ¿Por qué faltan algunos detalles? | Solo se muestra lo que está en los datos, sin adivinar nada.
        ¿Cómo se usa la lista? | Marque las líneas que cuentan para usted y deje las demás.
        ¿Puedo fiarme de las palabras? | Los nombres y las cifras se repiten sin ningún cambio.
        ¿Y si mi pregunta no tiene respuesta aquí? | Pregunte al vendedor antes de pedir y anote lo que le diga.
        ¿Para quién es esta página? | Para quien quiere detalles claros sin grandes palabras.
        ¿Cómo comparo dos ofertas? | Ponga las mismas líneas lado a lado y mire las diferencias.
        ¿Qué debo hacer primero? | Piense dónde y cuándo lo va a usar.
        ¿Es mejor una lista larga? | No, vale más una lista corta que encaje con lo que necesita.
    """),
    answers=lines("""
        Hay una entrada sobre esto: {label}, con {value}.
        Sí, en los datos se lee {label} con {value}.
        A esto responde la línea {label}, que dice {value}.
    """),
    descriptions=lines("""
        {key}: los detalles conocidos de {name} en palabras sencillas.
        Todos los detalles conocidos de {name} en una página sobre {key}.
        {name} en palabras sencillas, para quien busca {key}.
        Lo que dicen los datos de {name} y de {key}.
        ¿Busca {key}? Aquí están los detalles de {name}.
        Una página clara sobre {key} con los detalles de {name}.
    """),
    blurbs=lines("""
        Compare y elija con calma.
        Claro, corto y fácil de revisar.
        Con respuestas a preguntas comunes.
        Eche un vistazo a la lista.
        Hechos claros, sin grandes palabras.
        Vea lo que mejor le va.
    """),
)
