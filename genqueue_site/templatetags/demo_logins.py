"""Buttons for the demo's one-click log-in, used by both log-in pages."""

from typing import Any

from django import template

from genqueue_site.demo import login

register = template.Library()


@register.inclusion_tag("registration/_demo_logins.html", takes_context=True)
def demo_logins(context: dict[str, Any], look: str = "gq-body gq-form") -> dict[str, Any]:
    """Render the buttons of the sample users; nothing outside the demo."""
    people = login.people(context["request"])
    return {"people": people, "look": look, "next": context.get("next", ""), "csrf_token": context.get("csrf_token")}
