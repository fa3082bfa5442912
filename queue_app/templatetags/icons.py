"""The drawings of `templates/gq/_icons.html`."""

from django import template
from django.utils.safestring import SafeString

from queue_app.ui import display

register = template.Library()


@register.simple_tag
def icon(name: str, css: str = "", label: str = "") -> SafeString:
    """Return a drawing by its name: decoration, unless a ``label`` says what it stands for."""
    return display.icon(name, css, label)
