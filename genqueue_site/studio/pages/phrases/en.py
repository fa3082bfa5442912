"""English."""

from genqueue_site.studio.pages.phrases.shape import Phrases, lines

ENGLISH = Phrases(
    marks=("“", "”"),
    tails=lines("""
        the details at a glance
        what to know
        a plain overview
        the main points
        facts for your choice
        a short guide
        all details in one place
        a closer look
        help with your choice
        read this first
    """),
    headings=lines("""
        The details in plain words
        What the data says
        How to compare
        Before you decide
        Points to check
        Questions to ask yourself
        From list to choice
        What counts in daily use
        Reading the list
        A calm way to choose
        Your own needs first
        Details side by side
    """),
    leads=lines("""
        If {key} is what you are looking for, this page gives you the details of {name} in plain words.
        Here you can read what is known about {name}, sorted for people who search for {key}.
        This page on {key} keeps to the facts and shows {name} as the data describes it.
        You searched for {key}: here is {name}, with the details that are known and nothing more.
        Looking into {key} takes time, so this page puts the known details of {name} together.
        Everything here is about {key}, with {name} described by its own data.
    """),
    asides=lines("""
        The text stays short, so that you find your answer fast.
        You can read it from top to bottom or jump to the part that you need.
        No detail has been added to make it sound better.
        Take what helps you and leave the rest.
        The list of details follows below.
        At the end you find answers to common questions.
        Use it as a base for your own notes.
        It is written for people who like to check before they choose.
    """),
    lead_facts=lines("""
        A first detail is {label}, given as {value}.
        To begin with, {label} is given as {value}.
        One line of the data reads {label}, with {value} beside it.
        The data starts with {label} and names {value}.
    """),
    openings=lines("""
        A good page on {key} starts with what is known.
        People who read about {key} mostly want clear details.
        The term {key} can mean many things, so this page stays with the given data.
        When you compare offers for {key}, plain details help most.
        This part sums up what the data says on {key}.
        It is easy to get lost in {key}, which is why the details come first.
    """),
    details=lines("""
        Under {label} the data for {name} says {value}.
        For {name}, the entry {label} reads {value}.
        The line {label} gives {value} for {name}.
        As for {label}, the data of {name} states {value}.
        {name} is listed with {value} under {label}.
        Look for {label} and you will find {value} next to {name}.
        In the data of {name}, {label} stands for {value}.
        Next to {label}, the list shows {value} for {name}.
        The entry {label} belongs to {name} and says {value}.
    """),
    entries=lines("""
        Under {label} the list says {value}.
        The entry {label} reads {value}.
        As for {label}, the answer is {value}.
        The line {label} shows {value}.
        You will find {value} under {label}.
        What the data gives for {label} is {value}.
    """),
    returns=lines("""
        Keep in mind what you expect from {key}.
        That way, your search for {key} stays short.
        Much that is said about {key} leaves such details out.
        This is the part of {key} that you can check on your own.
        So the words {key} turn into something you can compare.
    """),
    others=lines("""
        Readers of this page also search for {keys}.
        Close to this topic are {keys}.
        The same details help with {keys}.
    """),
    remarks=lines("""
        A detail is only useful if it fits your plans.
        Some details matter every day, others hardly ever.
        What is missing here is not known from the data.
        It is fine to skip a line that does not concern you.
        Good notes are short and honest.
        You know best how you live and work.
        The order of the details says nothing about their weight.
        A pause between reading and choosing does no harm.
        Each line of the list can be checked.
        Words like great or perfect would not help you here.
        Your first impression may change with the second look.
        Nobody needs every detail at once.
        A list is read faster than a long text.
        What you see here is taken from the given data.
        Names and figures are shown just as they were given.
        Small differences can be a matter of taste.
        It helps to know why you are looking.
        The right choice for a friend may be wrong for you.
        Open questions are best asked before you order.
        You can print this page and mark what counts.
    """),
    beginnings=lines("""
        Before you decide,
        If time is short,
        When in doubt,
        At the start of your search,
        For a fair choice,
        With a clear goal in mind,
        To save yourself a detour,
        As a first step,
        Later on,
    """),
    endings=lines("""
        read the details line by line.
        write down what you cannot do without.
        compare like with like.
        keep this page open beside your own notes.
        check each entry against your plans.
        ask the people who will use it with you.
        look at the plain facts first.
        leave out what does not matter to you.
        go back to the list once more.
        think of the place where it will be used.
    """),
    subjects=lines("""
        A short list
        A calm look
        A plain comparison
        A second reading
        A note on paper
        A look at the data
        A talk with others
        A clear question
    """),
    predicates=lines("""
        helps you to choose well.
        shows what is still open.
        takes little time.
        keeps the choice simple.
        saves work later.
        brings order to many details.
        often says more than a long text.
        makes the next step easy.
    """),
    key_questions=lines("""
        What should I look at when it comes to {key}? | Start with the details on this page and compare them with your own needs.
        How do I find my way around {key}? | Decide what matters to you, then read the list with that in mind.
        Is this page a good start for {key}? | It shows the known details in one place, so you can see what fits.
    """),
    fact_questions=lines("""
        What does the data say about {label}? | For {name} it gives {value}.
        What is listed under {label}? | The entry for {name} is {value}.
        Where does {name} stand on {label}? | According to the data, the answer is {value}.
        Which entry belongs to {label}? | With {name} it is {value}, as given.
    """),
    questions=lines("""
        Where do these details come from? | They come from the data that was given for this page.
        Why are some details missing? | Only what the data contains is shown, and nothing is guessed.
        How should I use the list? | Mark the lines that matter to you and ignore the others.
        Can I rely on the wording? | Names and figures are repeated just as they were given.
        What if my question is not answered here? | Ask the seller before you order and write down the answer.
        Who is this page for? | It is for everyone who wants plain details without big words.
        How do I compare two offers? | Put the same lines next to each other and look at the differences.
        What should I do first? | Think about where and how often you will use it.
        Does a longer list mean a better choice? | No, a short list that fits your needs is worth more.
    """),
    answers=lines("""
        The data has an entry for this: {label}, given as {value}.
        Yes, there is a line on it: {label} with {value}.
        This is covered by {label}, where the data says {value}.
    """),
    descriptions=lines("""
        {key}: read the known details of {name} in plain words.
        All known details of {name} on one page about {key}.
        {name} in plain words, for people who search for {key}.
        What the data says about {name} and {key}.
        Searching for {key}? See the details of {name} here.
        A clear page on {key} with the details of {name}.
    """),
    blurbs=lines("""
        Compare the facts and choose in your own time.
        Clear, short and easy to check.
        With answers to common questions.
        Take a look at the list.
        Plain facts, no big words.
        See what fits your needs.
    """),
)
