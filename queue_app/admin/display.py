"""The only place of the admin that makes HTML: each part of a row or of a card, from plain values, everything escaped."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from queue_app.models import Job, State
from queue_app.rules import priority

NARROW = "\u202f"


def number(value: int) -> str:
    """48 213, with a narrow no-break space."""
    return f"{value:,}".replace(",", NARROW)


def duration(seconds: float) -> str:
    """2 m 20 s, 1 h 05 m, 3 d 4 h."""
    whole = max(0, round(seconds))
    minutes, hours, days = whole // 60, whole // 3600, whole // 86_400
    if whole < 60:
        return f"{whole} s"
    if minutes < 60:
        return f"{minutes} m {whole % 60:02} s"
    if hours < 24:
        return f"{hours} h {minutes % 60:02} m"
    return f"{days} d {hours % 24} h"


def icon(name: str) -> SafeString:
    return format_html('<svg class="gq-i" aria-hidden="true"><use href="#i-{}"/></svg>', name)


def badge(state: str) -> SafeString:
    """A job's state: glyph, word and colour."""
    return format_html('<span class="gq-badge is-{}">{}{}</span>', state, icon(state), State(state).label.capitalize())


def with_sub(main: str, sub: str = "") -> SafeString:
    """A line, and a quiet one under it."""
    return format_html("{}{}", main, format_html('<span class="gq-sub">{}</span>', sub) if sub else "")


def clipped(text: str, sub: str = "") -> SafeString:
    """A long text on one line, whole in its title."""
    return with_sub(format_html('<span class="gq-clip" title="{}">{}</span>', text[:500], text[:200]), sub)


def level(value: int) -> SafeString:
    """A priority, shown only when it is not normal."""
    if value == priority.NORMAL:
        return SafeString()
    up = value > priority.NORMAL
    return format_html('<span class="gq-prio {}">{}</span>', "is-high" if up else "is-low", priority.name(value))


def progress(value: float) -> SafeString:
    percent = round(value * 100)
    return format_html(
        '<progress class="gq-progress" max="100" value="{}" aria-label="{} %"></progress><span class="gq-sub">{} %</span>',
        percent,
        percent,
        percent,
    )


def when(moment: datetime | None) -> SafeString:
    if moment is None:
        return SafeString("–")
    return format_html('<time datetime="{}">{}</time>', moment.isoformat(), f"{moment:%d %b, %H:%M:%S}")


def age(since: datetime, at: datetime) -> SafeString:
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', since.isoformat(), f"{since:%d %b %Y, %H:%M:%S}", ago(at - since)
    )


def ago(span: timedelta) -> str:
    return duration(span.total_seconds())


def capacity(used: int, limit: int, *, held: bool = False) -> SafeString:
    """One cell for each slot: used, free, above a lowered limit, or ``held`` back by a pause. A meter above 20 slots."""
    slots = max(limit, used)
    if slots > 20:
        bar = format_html('<meter class="gq-meter" min="0" max="{}" value="{}"></meter>', slots, used)
    else:
        width = (120 - 2 * (slots - 1)) / max(slots, 1)
        kinds = ("over" if n >= limit else "used" if n < used else "held" if held else "free" for n in range(slots))
        cells = format_html_join(
            "",
            '<rect class="{}" x="{}" width="{}" height="10" rx="2"/>',
            ((kind, f"{n * (width + 2):.1f}", f"{width:.1f}") for n, kind in enumerate(kinds)),
        )
        frame = (
            '<svg class="gq-cap" viewBox="0 0 120 10" preserveAspectRatio="none" role="img" aria-label="{} of {} used">{}</svg>'
        )
        bar = format_html(frame, used, limit, cells)
    return format_html('<span class="gq-capcell">{}<span class="gq-num">{} / {}</span></span>', bar, used, limit)


def link(url: str, text: str) -> SafeString:
    return format_html('<a href="{}">{}</a>', url, text)


def chips(words: Iterable[str]) -> SafeString:
    return format_html_join(" ", '<span class="gq-chip">{}</span>', ((word,) for word in words))


def parameters(job: Job) -> list[str]:
    """A job's parameters as short facts: “8 s”, “16:9”, “seed 7”."""
    said = {"duration": "{} s", "aspect_ratio": "{}", "resolution": "{}"}
    return [
        said.get(name, name + " {}").format(value) for name, value in job.parameters.items() if value not in (False, None, "")
    ]


def pause(paused: bool, reason: str, until: datetime | None) -> SafeString:
    """A pause with its reason and end; a dash while open."""
    if not paused:
        return SafeString("–")
    words = " · ".join(filter(None, [reason, f"until {until:%H:%M:%S}" if until else ""]))
    return with_sub(format_html('<span class="gq-badge is-warn">{}Paused</span>', icon("pause")), words)
