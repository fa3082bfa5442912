"""HTML as tests compare it."""

import re
from typing import Any


def html_of(answer: Any) -> str:
    """Return the page of a response without the white space that only lays out its source."""
    return squeezed(answer.content.decode())


def squeezed(html: str) -> str:
    """Collapse white space; drop it between tags, behind an opening tag and before a closing one."""
    html = re.sub(r"\s+", " ", html)
    html = re.sub(r"> (?=<)| (?=</)", lambda found: found[0].strip(), html)
    return re.sub(r"(<[a-zA-Z][^<>]*>) ", r"\1", html).replace(" >", ">")
