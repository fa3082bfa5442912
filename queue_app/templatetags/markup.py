"""Template tags and filters of all pages: icons, times, and lines joined without spaces."""

import re
from datetime import datetime

from django import template
from django.template.base import NodeList, Parser, TextNode, Token
from django.template.context import Context
from django.utils.safestring import SafeString

from queue_app.ui import display

register = template.Library()
PARTS = re.compile(r"(<(?=[a-zA-Z/])|>|\s*\n\s*)")


@register.simple_tag
def icon(name: str, css: str = "", label: str = "") -> SafeString:
    """Return a drawing of `gq/_icons.html`: decoration, unless it has a ``label`` for screen readers."""
    return display.icon(name, css, label)


@register.filter
def moment(when: datetime, at: datetime) -> str:
    """Return the time of day, with its date unless that is the date of ``at``: “15:58:04”, “23 Nov, 15:58”."""
    return display.moment(when, at)


class TightNode(template.Node):
    """Lines of a template joined without a space."""

    def __init__(self, nodelist: NodeList) -> None:
        self.nodelist = nodelist
        in_a_tag = False
        for text in (node for node in nodelist.get_nodes_by_type(TextNode) if isinstance(node, TextNode)):
            parts = PARTS.split(text.s)
            for place, part in enumerate(parts):
                if part in ("<", ">"):
                    in_a_tag = part == "<"
                elif "\n" in part:
                    parts[place] = " " if in_a_tag else ""
            text.s = "".join(parts)

    def render(self, context: Context) -> SafeString:
        return self.nodelist.render(context)


@register.tag
def tight(parser: Parser, token: Token) -> TightNode:
    """Join the lines up to ``endtight`` without a space: a sentence whose parts no space may part can have several lines."""
    nodelist = parser.parse(("endtight",))
    parser.delete_first_token()
    return TightNode(nodelist)
