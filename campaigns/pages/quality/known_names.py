"""
Names that are names wherever they stand: makers, trade marks and certificates; given names; words around names.

There is no dictionary of the ten languages here. Where capital letters say little (German, the start of a sentence) or nothing
(Japanese), these lists do.
"""

from __future__ import annotations

BRANDS = frozenset(
    # makers
    "adidas nike puma asics salomon hoka brooks saucony merrell patagonia salewa lowa meindl scarpa arc'teryx fjällräven"
    " fjallraven deuter vaude ortovox haglöfs peak-performance decathlon quechua intersport samsung sony philips bosch siemens"
    " grundig panasonic toshiba hitachi nikon fujifilm leica bose sennheiser jabra garmin fitbit xiaomi huawei"
    " oneplus lenovo asus acer dell microsoft google amazon facebook instagram whatsapp youtube netflix spotify tesla bmw audi"
    " mercedes volkswagen porsche toyota honda yamaha suzuki kawasaki shimano sram campagnolo brompton trek dyson irobot roborock"
    " electrolux whirlpool delonghi de'longhi saeco krups tefal rowenta moulinex kitchenaid wmf zwilling victorinox wüsthof"
    " makita dewalt hilti husqvarna gardena stihl ikea zara lego playmobil nestlé nespresso lavazza illy danone unilever"
    " l'oréal loréal nivea beiersdorf bayer basf dupont michelin pirelli bridgestone goodyear rolex casio seiko omega"
    " swatch tissot microsoft intel nvidia qualcomm logitech nintendo playstation"
    # trade marks of materials and techniques
    " gore-tex goretex vibram cordura primaloft polartec thinsulate sympatex teflon kevlar lycra coolmax ripstop dyneema"
    " pertex coolcore tencel lyocell climashield ortholite bluetooth zigbee homekit alexa siri android"
    " macos swarovski pyrex ceran corian alcantara velcro"
    # certificates and testers
    " oeko-tex bluesign fairtrade demeter bioland ecocert svanen tüv "
    " nasa nato unesco warentest öko-test ökotest dekra energy-star michelin stiwa altroconsumo consumentenbond"
    " que-choisir testfakta wirecutter trustpilot forbes ".split()
)
JAPANESE_BRANDS = frozenset(
    "ゴアテックス ビブラム コーデュラ プリマロフト ナイキ アディダス プーマ アシックス ミズノ サロモン モンベル パタゴニア コロンビア"
    " ソニー パナソニック シャープ キヤノン ニコン カシオ セイコー シチズン ロレックス シマノ ダイソン アップル サムスン トヨタ ホンダ"
    " ヤマハ ユニクロ デュポン ミシュラン ブリヂストン テフロン ケブラー グッドデザイン ブルートゥース アマゾン グーグル".split()
)

GIVEN_NAMES = frozenset(
    "anna anne annika andrea andreas alexander alexandra adam adrian agnieszka alberto alice alessandro alessandra ana andré angela antonio"
    " barbara beatrice ben benjamin bernard bernd bianca birgit björn carla carlo carlos carmen carolina caroline catherine cecilia"
    " charles charlotte chiara christian christina christine christoph claire clara claudia daniel daniela david diana diego dieter"
    " eduardo elena elisabeth elizabeth emil emily emma eric erik erika ernst eva fabian felix fernando filip florian francesca"
    " francesco frank franz françois friedrich gabriel gabriele gabriela georg george gerhard giovanni giulia giuseppe grzegorz guillaume"
    " gunnar gustav hannah hanna hans harald heike heinrich helena helga henrik henry hugo ida ines inês ingrid isabel isabella jack jacob"
    " jakob james jan jane javier jean jens jessica joanna joão johan johanna johannes john jonas jorge josé josef joseph juan julia julian"
    " jürgen karin karl katarina katarzyna katharina klara klaus krzysztof lars laura lena leo leon linda lisa lorenzo louis luca lucas"
    " lucia luis luísa lukas magdalena maja malin manfred manuel marco marcus marek margaret maria marie mario markus marta martin"
    " martina mary mateusz matteo matthias max maximilian melanie mia michael michał michel miguel mikael monica monika nadia natalia"
    " nicolas nicole niklas nils nina olga oliver olivia oskar pablo paola paolo patricia patrick paul paula paulo pedro peter petra philip"
    " philipp pierre piotr rafael raquel rebecca ricardo robert roberto rolf rosa sabine samuel sandra sara sarah sebastian silvia simon"
    " simone sofia sofie sophie stefan stefano stephan susanne sven sylvia teresa thomas tim tobias tomasz ulrich ursula valentina vera"
    " veronika victor victoria viktor vincent walter werner wilhelm william wojciech wolfgang zofia sanne joost pieter willem".split()
)

# “Dr. Weber”, “Frau Weber”: a name follows
TITLES = frozenset(
    "dr prof professor professorin professeur profesor profesora professore professora dott dottor dottoressa ing ir drs mr mrs ms miss"
    " sir lady herr herrn frau monsieur madame mme mlle señor señora sr sra sig signor signora senhor senhora meneer mevrouw pan pani"
    " pana panią mgr inż hab doktor doktora docteur dra lekarz".split()
)
# “GmbH”: a name precedes
LEGAL_FORMS = frozenset(
    "gmbh ag kg ohg ltd limited inc llc plc corp sa sarl sas srl spa s.p.a s.r.l s.a bv b.v nv ab oy aps sl lda".split()
)
# “Marke Salomon”: in German, a name follows
CUES = frozenset(
    "marke hersteller firma designer designerin modell architekt architektin erfinder erfinderin unternehmen ingenieur ingenieurin"
    " gründer gründerin meister meisterin autor autorin label".split()
)
SAYS = frozenset("von laut sagt meint empfiehlt erklärt schreibt durch so sagte lobt".split())

# capitals that name nobody
ACRONYMS = frozenset(
    "faq ok diy tv pc eu url pdf sos vip ii iii iv vi vii viii ix xl xs xxl xxs xxxl a-z html led uv hd id app usw s m l mwst ust tva iva vat btw moms ttc ht gps".split()
)

# written with a capital in the middle of a sentence
ORDINARY: dict[str, frozenset[str]] = {
    "en": frozenset(
        "i i'm i'll i've i'd monday tuesday wednesday thursday friday saturday sunday january february march april may june july august"
        " september october november december christmas easter english internet web earth".split()
    ),
    "fr": frozenset("noël internet pâques terre".split()),
    "es": frozenset("usted ud uds navidad internet dios tierra".split()),
    "it": frozenset("lei suo sua suoi sue la le natale internet terra luna sole voi".split()),
    "pt": frozenset("você vocês sr natal internet terra deus".split()),
    "nl": frozenset("u uw ij nachts ochtends avonds morgens middags zomers winters kerst kerstmis internet pasen nederlands nederlandse".split()),
    "sv": frozenset("ni er du jul internet".split()),
    "pl": frozenset(
        "ty ci cię ciebie tobie tobą twój twoja twoje twojej twojego twoim twoją wy wam was wasz wasza wasze państwo państwa państwu pan"
        " pani pana panu panią internet internecie ziemi boże".split()
    ),
    "de": frozenset(),
}

# Latin words of Japanese everyday texts
LATIN = frozenset("ok faq sns pc url tv cm diy dvd cd app web q a s m l xl xs ll led uv hd pdf vs no line ai it pr aa".split())
# “お客様”, “皆さん”: nobody's name
NOBODY = frozenset(
    "客 お客 皆 皆々 神 奥 子 お子 王 殿 何 誰 母 父 お母 お父 兄 姉 弟 妹 店員 職人 読者 利用者 愛好家 専門家 娘 息子 子ども 赤ちゃん 医者"
    " ユーザー スタッフ ベビー ママ パパ ランナー 同 姫 仏 各 貴 模 多 有 仕 当".split()
)
