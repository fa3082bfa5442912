"""Claims of awards, tests and ranks in ten languages, which are inventions unless the facts make them too, in any language."""

from __future__ import annotations

import re

_CLAIMS: dict[str, str] = {
    "award": "award-winning|award winning|winner of the|won an award|prize-winning|red dot|design award|preisgekrönt|auszeichnung"
    "|ausgezeichnet mit|designpreis|prämiert|primé|primée|récompensé|lauréat|élu produit|élue produit|élu meilleur|premiado|premiada"
    "|galardonad|premio a|premio de diseño|premiato|premiata|pluripremiat|premiado|prémio|prêmio|bekroond|prijswinnend|prisbelönt"
    "|prisvinnande|nagrodzon|nagrodę|nagroda|wyróżnion|medal|受賞|グッドデザイン賞|金賞",
    "test": "test winner|best in test|clinically proven|clinically tested|clinical studies|scientifically proven|lab-tested"
    "|independently tested|testsieger|stiftung warentest|testurteil|klinisch getestet|klinisch bewiesen|wissenschaftlich bewiesen"
    "|dermatologisch getestet|dermatologically tested|vainqueur du test|testé cliniquement|cliniquement prouvé|scientifiquement prouvé"
    "|testé sous contrôle|dermatologiquement testé|ganador de la comparativa|clínicamente probad|científicamente probad"
    "|dermatológicamente probad|clinicamente testat|scientificamente provat|dermatologicamente testat|vincitore del test"
    "|miglior acquisto|clinicamente testad|clinicamente comprovad|cientificamente comprovad|dermatologicamente testad|beste uit de test"
    "|best getest|klinisch bewezen|wetenschappelijk bewezen|bäst i test|testvinnare|kliniskt testad|kliniskt bevisad"
    "|vetenskapligt bevisad|zwycięzca testu|klinicznie potwierdzon|przebadan|naukowo udowodnion|臨床試験|臨床的に|科学的に証明"
    "|第三者機関",
    "first": "no. 1|the number one|number-one|#1 |world's first|world's best|world's lightest|world's leading|market leader|market-leading|industry-leading"
    "|best-selling|bestselling|bestseller|best seller|top-rated|top rated|nummer 1|nr. 1|nummer eins|weltweit erste|marktführer"
    "|meistverkauft|weltbeste|numéro 1|n°1|n° 1|numéro un|leader du marché|le plus vendu|la plus vendue|leader mondial|meilleure vente"
    "|número 1|número uno|líder del mercado|líder en ventas|más vendid|numero 1|numero uno|leader di mercato|leader del mercato"
    "|più vendut|número um|líder de mercado|líder do mercado|mais vendid|campeão de vendas|marktleider|best verkocht|bestverkocht"
    "|nummer één|marknadsledande|bästsäljare|bästsäljande|mest sålda|nummer ett|lider rynku|najlepiej sprzedając|bestsellerow|numer jeden"
    "|nr 1|業界初|世界初|世界一|日本一|売上no|売れ筋no|人気no|ナンバーワン|シェア1位|第1位|第一位|ランキング1位",
    "recommended": "recommended by experts|expert-recommended|doctor-recommended|recommended by doctors|dermatologist-recommended"
    "|von experten empfohlen|von ärzten empfohlen|recommandé par les médecins|recommandé par les experts|recomendado por expertos"
    "|recomendado por médicos|consigliato dai medici|raccomandato dagli esperti|recomendado por especialistas|aanbevolen door experts"
    "|rekommenderas av experter|rekommenderas av läkare|polecany przez ekspertów|polecany przez lekarzy|医師推奨|専門家推奨|専門家も推薦",
    "patent": "patented|patent-pending|patentiert|breveté|brevetée|patentad|brevettat|gepatenteerd|patenterad|opatentowan|特許",
}  # fmt: skip
_PHRASES = {kind: re.compile("|".join(rf"(?<!\w){re.escape(one)}" if one[0].isascii() or one[0].isalpha() and one[0] < "ぁ"
                                      else re.escape(one) for one in sorted(set(phrases.split("|")), key=len, reverse=True)))
            for kind, phrases in _CLAIMS.items()}  # fmt: skip


def find(text: str, facts: str) -> list[str]:
    """Return the claims of a plain text that the facts (in lower case) don't make; a fact in another language counts."""
    lower = text.lower()
    found = []
    for phrases in _PHRASES.values():
        made = [match[0].strip() for match in phrases.finditer(lower)]
        if made and not phrases.search(facts):
            found += made
    return list(dict.fromkeys(found))
