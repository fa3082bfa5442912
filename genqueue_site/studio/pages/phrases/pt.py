"""Portuguese."""

from genqueue_site.studio.pages.phrases.shape import Phrases, lines

PORTUGUESE = Phrases(
    marks=("“", "”"),
    tails=lines("""
        os dados num relance
        o que convém saber
        um resumo claro
        os pontos principais
        ajuda para escolher
        um guia breve
        tudo numa só página
        um olhar mais atento
        bom saber
        para ler antes de escolher
    """),
    headings=lines("""
        Os detalhes em palavras simples
        O que dizem os dados
        Como comparar
        Antes de decidir
        Pontos a verificar
        Perguntas a fazer a si mesmo
        Da lista à escolha
        O que conta no dia a dia
        Como ler a lista
        Escolher com calma
        Primeiro as suas necessidades
        Os detalhes lado a lado
    """),
    leads=lines("""
        Se procura {key}, esta página apresenta {name} com palavras simples.
        Esta página sobre {key} mostra o que se sabe de {name} e nada mais.
        Aqui trata-se de {key}: os dados de {name} aparecem tal como chegaram.
        Fala-se muito de {key}, mas aqui estão apenas os dados de {name}.
        A procura de {key} leva a {name}, e esta página dá os detalhes conhecidos.
        Sobre o tema {key} estão aqui reunidos os detalhes conhecidos de {name}.
    """),
    asides=lines("""
        O texto é curto para que encontre depressa a sua resposta.
        Pode ler tudo ou ir logo à parte de que precisa.
        Nada foi acrescentado para soar melhor.
        Fique com o que ajuda e deixe o resto.
        A lista de detalhes está mais abaixo.
        No fim há respostas a perguntas comuns.
        É uma boa base para as suas próprias notas.
        Foi feita para quem gosta de verificar antes de escolher.
    """),
    lead_facts=lines("""
        Um primeiro detalhe é {label}, com o valor {value}.
        Para começar, lê-se {label} com {value}.
        Uma linha dos dados traz {label} e, ao lado, {value}.
        Os dados começam com {label} e dão {value}.
    """),
    openings=lines("""
        Uma boa página sobre {key} começa pelo que se sabe.
        Quem lê sobre {key} quer sobretudo detalhes claros.
        Por trás de {key} pode haver muita coisa, por isso esta página segue os dados.
        Ao comparar ofertas de {key}, o que mais ajuda são detalhes claros.
        Esta parte resume o que os dados dizem sobre {key}.
        Com {key} é fácil perder-se, por isso os detalhes vêm primeiro.
    """),
    details=lines("""
        Em {label}, os dados de {name} indicam {value}.
        Para {name}, a entrada {label} diz {value}.
        A linha {label} mostra {value} para {name}.
        Quanto a {label}, os dados de {name} dão {value}.
        O produto {name} aparece com {value} em {label}.
        Procure {label} e vai ler {value} junto a {name}.
        Nos dados de {name}, {value} corresponde a {label}.
        Ao lado de {label}, a lista dá {value} para {name}.
        A entrada {label} pertence a {name} e traz {value}.
    """),
    entries=lines("""
        Em {label} lê-se {value}.
        A entrada {label} diz {value}.
        Para {label}, os dados dão {value}.
        A linha {label} indica {value}.
        Encontra-se {value} em {label}.
        Quanto a {label}, a resposta é {value}.
    """),
    returns=lines("""
        Tenha em mente o que espera de {key}.
        Assim, a procura de {key} fica curta.
        Muitos textos sobre {key} esquecem estes detalhes.
        Esta parte de {key} qualquer pessoa pode verificar.
        Assim, as palavras {key} passam a ser algo que se pode comparar.
    """),
    others=lines("""
        Quem lê esta página também procura {keys}.
        Perto deste tema estão {keys}.
        Os mesmos detalhes servem para {keys}.
    """),
    remarks=lines("""
        Um detalhe só é útil se combinar com os seus planos.
        Alguns detalhes contam todos os dias, outros quase nunca.
        O que falta aqui não está nos dados.
        Pode saltar uma linha que não lhe diz respeito.
        Boas notas são curtas e sinceras.
        Só você sabe bem como vive.
        A ordem dos detalhes nada diz sobre o seu peso.
        Uma pausa entre ler e escolher não faz mal.
        Cada linha da lista pode ser verificada.
        Grandes palavras não ajudariam aqui.
        A primeira impressão pode mudar ao segundo olhar.
        Ninguém precisa de todos os detalhes ao mesmo tempo.
        Uma lista lê-se mais depressa do que um texto longo.
        Tudo o que vê aqui vem dos dados fornecidos.
        Os nomes e os números são repetidos tal como chegaram.
        Pequenas diferenças são muitas vezes uma questão de gosto.
        Ajuda saber por que se procura.
        A boa escolha de um amigo pode não ser a sua.
        As dúvidas esclarecem-se melhor antes da encomenda.
        Pode imprimir esta página e marcar o que conta.
    """),
    beginnings=lines("""
        Antes de decidir,
        Se o tempo for pouco,
        Em caso de dúvida,
        No início da procura,
        Para uma escolha justa,
        Com uma meta clara,
        Para evitar um desvio,
        Como primeiro passo,
        Um pouco mais tarde,
    """),
    endings=lines("""
        leia os detalhes linha por linha.
        anote aquilo que não pode faltar.
        compare o que se pode comparar.
        tenha esta página ao lado das suas notas.
        veja se cada entrada combina com os seus planos.
        fale com quem o vai usar consigo.
        olhe primeiro para os factos.
        deixe de fora o que pouco importa.
        volte mais uma vez à lista.
        pense no lugar onde o vai usar.
    """),
    subjects=lines("""
        Uma lista curta
        Um olhar calmo
        Uma comparação simples
        Uma segunda leitura
        Uma nota em papel
        Um olhar sobre os dados
        Uma conversa com outros
        Uma pergunta clara
    """),
    predicates=lines("""
        ajuda a escolher bem.
        mostra o que fica em aberto.
        leva pouco tempo.
        torna a escolha mais simples.
        poupa trabalho mais tarde.
        põe ordem nos detalhes.
        diz muitas vezes mais do que um texto longo.
        facilita o passo seguinte.
    """),
    key_questions=lines("""
        O que convém ver quando se trata de {key}? | Comece pelos detalhes desta página e compare-os com aquilo de que precisa.
        Como não se perder em {key}? | Decida o que é importante para si e depois leia a lista.
        Esta página é um bom começo para {key}? | Reúne os detalhes conhecidos, e assim se vê o que combina.
    """),
    fact_questions=lines("""
        O que dizem os dados sobre {label}? | Para {name} dão {value}.
        O que aparece em {label}? | A entrada de {name} é {value}.
        Como fica {name} em {label}? | Segundo os dados, a resposta é {value}.
        Que entrada corresponde a {label}? | Em {name} é {value}, tal como chegou.
    """),
    questions=lines("""
        De onde vêm estes detalhes? | Vêm dos dados que foram entregues para esta página.
        Por que faltam alguns detalhes? | Só se mostra o que está nos dados, sem adivinhar nada.
        Como se usa a lista? | Marque as linhas que contam para si e deixe as outras.
        Posso confiar nas palavras? | Os nomes e os números são repetidos sem qualquer mudança.
        E se a minha pergunta ficar sem resposta? | Pergunte ao vendedor antes de encomendar e anote a resposta.
        Para quem é esta página? | Para quem quer detalhes claros sem grandes palavras.
        Como comparo duas ofertas? | Ponha as mesmas linhas lado a lado e veja as diferenças.
        O que devo fazer primeiro? | Pense onde e quando o vai usar.
        Uma lista longa é melhor? | Não, vale mais uma lista curta que combine com o que precisa.
    """),
    answers=lines("""
        Há uma entrada sobre isto: {label}, com {value}.
        Sim, nos dados lê-se {label} com {value}.
        A isto responde a linha {label}, onde se lê {value}.
    """),
    descriptions=lines("""
        {key}: os detalhes conhecidos de {name} em palavras simples.
        Todos os detalhes conhecidos de {name} numa página sobre {key}.
        {name} em palavras simples, para quem procura {key}.
        O que os dados dizem de {name} e de {key}.
        Procura {key}? Aqui estão os detalhes de {name}.
        Uma página clara sobre {key} com os detalhes de {name}.
    """),
    blurbs=lines("""
        Compare e escolha com calma.
        Claro, curto e fácil de verificar.
        Com respostas a perguntas comuns.
        Dê uma olhada à lista.
        Factos simples, sem grandes palavras.
        Veja o que combina consigo.
    """),
)
