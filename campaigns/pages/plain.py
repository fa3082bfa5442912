"""Plain text and plain addresses from what models and data say."""

import re
from urllib.parse import quote

from campaigns.pages.addresses import url_problem
from campaigns.pages.wording import line, unescaped

TAG = re.compile(r"</?[a-zA-Z!?][^<>]*>|<!--")
# Markdown → its text. Signs within words and figures stay: 5*3*2, a_b_c
MARKDOWN = (
    (re.compile(r"!?\[([^\[\]]*)\]\((?:[^()]|\([^()]*\))*\)"), r"\1"),
    (re.compile(r"!?\[([^\[\]]+)\]\[[^\[\]]*\]"), r"\1"),
    (re.compile(r"(?<![\w*])\*{1,3}(?=[^\s*])([^*]*[^\s*])\*{1,3}(?![\w*])"), r"\1"),
    (re.compile(r"(?<![\w_])_{1,3}(?=[^\s_])([^_]*[^\s_])_{1,3}(?![\w_])"), r"\1"),
    (re.compile(r"`+([^`]*)`+"), r"\1"),
    (re.compile(r"^(?:\s*(?:#{1,6}|[-*+•>](?!\s*\d))\s+)+"), ""),
)
ADDRESS = re.compile(r" ?\(?\b(?:(?:https?|ftp)://|www\.(?=\w)|(?:javascript|vbscript):(?=\S)|data:\w+/)[^\s<>\"”“]*", re.I)
# signs that end an address somewhere, and those that nobody sees
ENDING = re.compile("['()`{}|^\x80-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


def plain(text: str) -> str:
    """Return a model's text without the tags, links, addresses and signs of Markdown in it; their texts stay."""
    text = TAG.sub("", TAG.sub("", line(unescaped(text))))
    if TAG.search(text):  # tags within tags are no slip
        text = text.replace("<", "")
    for pattern, kept in MARKDOWN:
        text = pattern.sub(kept, text)
    return line(ADDRESS.sub("", text))


def address(url: str) -> str:
    """Return an address as it may stand in a link anywhere; empty if it is none, or not one of the web."""
    return "" if url_problem(url.strip()) else ENDING.sub(lambda sign: quote(sign[0], errors="replace"), url.strip())
