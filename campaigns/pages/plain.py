"""Plain text and plain addresses from what models and data say."""

import html
import re
import unicodedata
from urllib.parse import urljoin, urlsplit

# signs that are no text: they hide what is written, or turn it round (joiners within words stay)
UNSEEN = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\uffff\ud800-\udfff\U000e0000-\U000e0fff]")
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
TAG = re.compile(r"</?[a-zA-Z!?][^<>]*>|<!--")
# Markdown → its text. Signs within words and figures stay: 5*3*2, a_b_c
MARKDOWN = (
    (re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*(?:\s[^()]*)?\)"), r"\1"),
    (re.compile(r"!?\[([^\[\]]+)\]\[[^\[\]]*\]"), r"\1"),
    (re.compile(r"(?<![\w*])\*{1,3}(?=[^\s*])([^*]*[^\s*])\*{1,3}(?![\w*])"), r"\1"),
    (re.compile(r"(?<![\w_])_{1,3}(?=[^\s_])([^_]*[^\s_])_{1,3}(?![\w_])"), r"\1"),
    (re.compile(r"`+([^`]*)`+"), r"\1"),
    (re.compile(r"^(?:\s*(?:#{1,6}|[-*+•>](?!\s*\d))\s+)+"), ""),
)
ADDRESS = re.compile(r"\(?\b(?:(?:https?|ftp)://|www\.(?=\w)|(?:javascript|vbscript):(?=\S)|data:\w+/)[^\s<>\"”“]*", re.I)
SPACE_BEFORE = re.compile(r" +([,.;!?])(?=\s|$)")
LONGEST_ADDRESS = 2000
SCHEMES = {"http", "https"}
NO_ADDRESS = re.compile(r"[\s\x00-\x1f\x7f-\x9f\\\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
QUOTED = re.compile(r"[\"'<>()`{}|^*\[\]]")  # signs that end an address somewhere, or mark up text


def tidy(text: str) -> str:
    """Return a text on one line, with single spaces and without signs that nobody sees."""
    return " ".join(CONTROL.sub(" ", UNSEEN.sub("", unicodedata.normalize("NFC", text))).split())


def plain(text: str) -> str:
    """Return a model's text without the tags, links, addresses and signs of Markdown in it; their texts stay."""
    text = TAG.sub("", TAG.sub("", tidy(html.unescape(text))))
    if TAG.search(text):  # tags within tags are no slip
        text = text.replace("<", "")
    for pattern, kept in MARKDOWN:
        text = pattern.sub(kept, text)
    return tidy(SPACE_BEFORE.sub(r"\1", ADDRESS.sub("", text)))


def address(url: str, *, base: str = "") -> str:
    """Return an address of the web as it may stand in a link, whole and without a password; empty if it is none."""
    url = url.strip()
    if not url or len(url) > LONGEST_ADDRESS or NO_ADDRESS.search(url):
        return ""
    try:
        parts = urlsplit(urljoin(base, url))
        is_named = bool(parts.hostname) and not QUOTED.search(parts.netloc) and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        return ""
    return QUOTED.sub(lambda sign: f"%{ord(sign[0]):02X}", parts.geturl()) if parts.scheme in SCHEMES and is_named else ""
