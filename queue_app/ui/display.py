"""The only place of the admin that makes HTML: each part of a row or of a card, from plain values, everything escaped."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from math import ceil
from typing import Any

from django.utils import timezone
from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString

from queue_app.models import Job, State
from queue_app.rules import numbers, priority
from queue_app.rules.limits import Blocker
from queue_app.rules.words import escaped_in_json, one_line


def number(value: int) -> str:
    """48,213."""
    return f"{value:,}"


def duration(seconds: float) -> str:
    """45s, 2m 20s, 1h 5m, 3d 4h."""
    return numbers.duration(seconds)


def rough(seconds: float) -> str:
    """`duration` as precise as an estimate is: steps of 10 seconds below 2 minutes, then whole minutes."""
    step = 10 if seconds < 120 else 60
    return duration(max(10, step * round(seconds / step)))


def about(seconds: float | None) -> str:
    """An estimate, no finer than we know it: 35s, 2m 20s, 21m, 1h 5m; a dash without an estimate."""
    if not seconds:
        return "–" if seconds is None else "now"
    step = 5 if seconds < 60 else 10 if seconds < 600 else 60
    return duration(ceil(seconds / step) * step).replace(" ", "\u00a0")


def span(seconds: float) -> str:
    """`duration` with tenths under 10 seconds: for measured times, not for estimates."""
    return f"{seconds:.1f}s" if seconds < 10 else duration(seconds)


@lru_cache(maxsize=256)
def icon(name: str) -> SafeString:
    return format_html('<svg class="gq-i" aria-hidden="true"><use href="#i-{}"/></svg>', name)


@lru_cache(maxsize=256)
def badge(state: str, word: str = "") -> SafeString:
    """A job's state: glyph, word and colour; or another ``word`` in that state's colour."""
    return format_html('<span class="gq-badge is-{}">{}{}</span>', state, icon(state), word or State(state).label.capitalize())


def with_sub(main: str, sub: str = "", *, whole: bool = False) -> SafeString:
    """A line, and a quiet one under it; ``whole``: it may be clipped where it stands, and its title has all of it."""
    if not sub:
        return conditional_escape(main)
    if whole:
        return format_html('{}<span class="gq-sub" title="{}">{}</span>', main, sub, sub)
    return format_html('{}<span class="gq-sub">{}</span>', main, sub)


def clipped(text: str, sub: str = "") -> SafeString:
    """A long text on one line, whole in its title."""
    return with_sub(format_html('<span class="gq-clip" title="{}">{}</span>', text[:500], text[:200]), sub)


def level(value: int) -> SafeString:
    """A priority, shown only when it is not normal."""
    if value == priority.NORMAL:
        return SafeString()
    rank = "urgent" if value >= priority.URGENT else "high" if value > priority.NORMAL else "low"
    return format_html('<span class="gq-prio is-{}">{}</span>', rank, priority.name(value))


def progress(value: float) -> SafeString:
    percent = round(value * 100)
    return format_html(
        '<progress class="gq-progress" max="100" value="{}" aria-label="{}%"></progress><span class="gq-sub">{}%</span>',
        percent,
        percent,
        percent,
    )


def when(moment: datetime | None) -> SafeString:
    if moment is None:
        return SafeString("–")
    return format_html('<time datetime="{}">{}</time>', moment.isoformat(), f"{timezone.localtime(moment):%d %b, %H:%M:%S}")


def moment(when: datetime, at: datetime) -> str:
    """The time of day in the queue's zone, with its date when that is not today: “15:58:04”, “23 Nov, 15:58”."""
    local = timezone.localtime(when)
    return f"{local:%H:%M:%S}" if local.date() == timezone.localtime(at).date() else f"{local:%d %b, %H:%M}"


def clock_time(moment: datetime, at: datetime) -> SafeString:
    """The time of day in the queue's zone, with its day under it when that is not today."""
    local = timezone.localtime(moment)
    day = "" if local.date() == timezone.localtime(at).date() else f"{local:%d %b}"
    whole = f"{local:%d %b %Y, %H:%M:%S %Z}"
    return format_html('<time datetime="{}" title="{}">{}</time>', moment.isoformat(), whole, with_sub(f"{local:%H:%M:%S}", day))


def age(since: datetime, at: datetime) -> SafeString:
    return format_html(
        '<time datetime="{}" title="{}" data-age>{}</time>',
        since.isoformat(),
        f"{timezone.localtime(since):%d %b %Y, %H:%M:%S %Z}",
        ago(at - since),
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
            '<svg class="gq-cap" viewBox="0 0 120 10" preserveAspectRatio="none" role="img" '
            'aria-label="{} of {} slots used">{}</svg>'
        )
        bar = format_html(frame, used, limit, cells)
    return format_html('<span class="gq-capcell">{}<span class="gq-num">{} / {}</span></span>', bar, used, limit)


def as_json(value: Any, *, sort_keys: bool = False) -> str:
    """A value as JSON, to be read and copied."""
    return escaped_in_json(json.dumps(value, ensure_ascii=False, indent=2, sort_keys=sort_keys))


def link(url: str, text: str) -> SafeString:
    return format_html('<a href="{}">{}</a>', url, text)


def cells(columns: Sequence[str], values: Sequence[str]) -> SafeString:
    """A row's cells, marked as Django's list marks them, in a third of its time; the column ``job`` heads the row."""
    return format_html(_cells(tuple(columns)), *values)


@lru_cache(maxsize=16)
def _cells(columns: tuple[str, ...]) -> str:
    heads = {"action_checkbox": '<td class="action-checkbox">{}</td>', "job": '<th class="field-job">{}</th>'}
    return "".join(heads.get(name, f'<td class="field-{name}">{{}}</td>') for name in columns)


def chooser(name: str, row: int, label: str) -> SafeString:
    """The box that chooses a row for the actions of a list; Django's own is drawn by a template for each row."""
    box = '<input type="checkbox" name="{}" value="{}" class="action-select" aria-label="{}">'
    return format_html(box, name, str(row), label)


def chips(words: Iterable[str]) -> SafeString:
    return format_html_join(" ", '<span class="gq-chip">{}</span>', ((word,) for word in words))


def parameters(job: Job) -> list[str]:
    """A job's parameters as short facts: “8s”, “16:9”, “seed 7”, “audio”, “images first frame”."""
    said = {"duration": "{}s", "aspect_ratio": "{}", "resolution": "{}", "count": "{} images"}
    return [
        name.replace("_", " ") if value is True else said.get(name, name.replace("_", " ") + " {}").format(value)
        for name, value in ((name, images_sent(value) if name == "images" else value) for name, value in job.parameters.items())
        if value not in (False, None, "")
    ]


def images_sent(images: Mapping[str, Any]) -> str:
    """The images that a job is made from: “first frame, 2 references”."""
    frames = [role.replace("_", " ") for role in ("first_frame", "last_frame") if images.get(role)]
    count = len(images.get("references") or ())
    return ", ".join([*frames, *([f"{count} reference{'' if count == 1 else 's'}"] if count else [])])


_LIMITS = {
    "queue": "whole queue",
    "kind": "job type {}",
    "account": "account {}",
    "model": "{}",
    "user": "owner's limit",
    "batch": "batch",
}


def limit_name(limit: str, key: str) -> str:
    """What people call a limit: “whole queue”, “account fal”, “kling-1.6”."""
    return _LIMITS[limit].format(key)


def held_by(blocker: Blocker, at: datetime) -> str:
    """What a queued job waits for, in a few words; empty when only its turn has not come."""
    until = moment(blocker.until, at) if blocker.until else ""
    if blocker.limit == "jobs_ahead":
        return ""
    if blocker.limit == "not_before":
        return f"starts at {until} or later"
    # an account's key says enough in a row of a list
    name = blocker.key if blocker.limit == "account" else limit_name(blocker.limit, blocker.key)
    if blocker.max:
        return f"{name} {blocker.used} of {blocker.max}"
    return f"{name} until {until}" if until else f"{name}: {one_line(blocker.reason)}"


def pause(paused: bool, reason: str, until: datetime | None) -> SafeString:
    """A pause with its reason and end; a dash while open."""
    if not paused:
        return SafeString("–")
    words = " · ".join(filter(None, [one_line(reason), f"until {timezone.localtime(until):%d %b, %H:%M}" if until else ""]))
    return with_sub(format_html('<span class="gq-badge is-warn">{}Paused</span>', icon("pause")), words)
