"""The only module that makes HTML in Python: parts of rows and cards, from plain values, with everything escaped."""

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
    """Return “48,213”."""
    return f"{value:,}"


def duration(seconds: float) -> str:
    """Return “45s”, “2m 20s”, “1h 5m” or “3d 4h”."""
    return numbers.duration(seconds)


def rough(seconds: float) -> str:
    """Return `duration` as precise as an estimate: steps of 10 seconds below 2 minutes, then whole minutes."""
    step = 10 if seconds < 120 else 60
    return duration(max(10, step * round(seconds / step)))


def about(seconds: float | None) -> str:
    """Return an estimate rounded up to its precision: “35s”, “2m 20s”, “21m”, “1h 5m”; a dash for ``None``."""
    if not seconds:
        return "–" if seconds is None else "now"
    step = 5 if seconds < 60 else 10 if seconds < 600 else 60
    return duration(ceil(seconds / step) * step).replace(" ", "\u00a0")


def span(seconds: float) -> str:
    """Return `duration` with tenths under 10 seconds: for measured times, not for estimates."""
    if seconds < 0.05:
        return "<0.1s"
    return f"{seconds:.1f}s" if seconds < 10 else duration(seconds)


@lru_cache(maxsize=256)
def icon(name: str, css: str = "", label: str = "") -> SafeString:
    """Return a drawing of `gq/_icons.html`: decoration, unless it has a ``label`` for screen readers."""
    role = format_html('role="img" aria-label="{}"', label) if label else SafeString('aria-hidden="true"')
    return format_html('<svg class="{}" {}><use href="#i-{}"/></svg>', f"gq-i {css}".strip(), role, name)


@lru_cache(maxsize=256)
def badge(state: str, word: str = "", glyph: str = "") -> SafeString:
    """Return a job's state as glyph, word and colour; or another ``word`` or ``glyph`` in that state's colour."""
    word = word or State(state).label.capitalize()
    return format_html('<span class="gq-badge is-{}">{}{}</span>', state, icon(glyph or state), word)


def yes_or_no(value: bool | None) -> str:
    """Return a truth value as a word; a dash for an unknown one."""
    return {True: "Yes", False: "No", None: "–"}[value]


def joined(parts: Iterable[str]) -> SafeString:
    """Return the parts that are not empty on one line, with dots between them."""
    return format_html_join(" · ", "{}", ((part,) for part in parts if part))


def with_sub(main: str, sub: str = "", *, whole: bool = False) -> SafeString:
    """Return a line with a quiet one under it. ``whole``: the second may be clipped, so its title has all of it."""
    if not sub:
        return conditional_escape(main)
    if whole:
        return format_html('{}<span class="gq-sub" title="{}">{}</span>', main, sub, sub)
    return format_html('{}<span class="gq-sub">{}</span>', main, sub)


def small_link(
    css: str,
    row: str,
    href: str,
    tokens: str,
    label: str,
    *,
    play: str = "",
    sheet: str = "",
    tile: str = "",
    glyph: str = "",
    text: str = "",
    percent: int | None = None,
    mark: str = "",
    is_new: bool = False,
) -> SafeString:
    """
    Return a small place of a page with hundreds: a link with a picture, a drawing or a text. A template takes ten times as long.

    :param tokens: names by which the page's script finds it.
    :param play: the address of its player. :param sheet: the address of its frames. :param tile: that of its picture.
    :param mark: the drawing of its review; without one, ``is_new`` sets a dot.
    """
    if tile:
        inside = format_html('<img src="{}" alt="" width="240" height="135" loading="lazy" decoding="async">', tile)
    else:
        inside = icon(glyph) if glyph else SafeString()
    if text:
        inside += format_html("<span>{}</span>", text)
    if percent is not None:
        inside += format_html('<progress class="gq-progress" max="100" value="{}">{}%</progress>', percent, percent)
    if mark:
        inside += format_html('<span class="v">{}</span>', icon(mark))
    elif is_new:
        inside += SafeString('<span class="new"></span>')
    more = format_html(' data-play="{}"', play) if play else SafeString()
    if sheet:
        more += format_html(' data-sheet="{}"', sheet)
    whole = '<a class="{}" id="{}" href="{}" data-is="{}"{} aria-label="{}" title="{}">{}</a>'
    return format_html(whole, css, row, href, tokens, more, label, "" if tile else label, inside)


def clipped(text: str, sub: str = "") -> SafeString:
    """Return a long text on one line, with all of it in the title."""
    return with_sub(format_html('<span class="gq-clip" title="{}">{}</span>', text[:500], text[:200]), sub)


def level(value: int) -> SafeString:
    """Return a priority; empty if it is normal."""
    if value == priority.NORMAL:
        return SafeString()
    rank = "urgent" if value >= priority.URGENT else "high" if value > priority.NORMAL else "low"
    return format_html('<span class="gq-prio is-{}">{}</span>', rank, priority.name(value))


def progress(value: float, left: str = "") -> SafeString:
    """Return a bar with its percentage and the time left, if it is known."""
    percent = round(value * 100)
    bar = '<progress class="gq-progress" max="100" value="{}" aria-label="{}%"></progress><span class="gq-sub">{}%{}</span>'
    return format_html(bar, percent, percent, percent, f", {left} left" if left else "")


def stage_bar(statuses: Sequence[str], label: str, sub: str) -> SafeString:
    """Return the stages of a job as one bar, a part for each by its status, with ``sub`` under it."""
    width = 100 / max(len(statuses), 1)
    parts = format_html_join(
        "",
        '<rect class="{}" x="{}" width="{}" height="6" rx="1.5"/>',
        ((status, f"{place * width:.2f}", f"{width - 2:.2f}") for place, status in enumerate(statuses)),
    )
    bar = '<svg class="gq-seven" viewBox="0 0 98 6" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    return format_html(bar, label, parts) + format_html('<span class="gq-sub">{}</span>', sub)


def when(moment: datetime | None) -> SafeString:
    if moment is None:
        return SafeString("–")
    return format_html('<time datetime="{}">{}</time>', moment.isoformat(), f"{timezone.localtime(moment):%d %b, %H:%M:%S}")


def moment(when: datetime, at: datetime) -> str:
    """Return the time of day in the queue's zone, with its date unless it is today: “15:58:04”, “23 Nov, 15:58”."""
    local, today = timezone.localtime(when), timezone.localtime(at)
    if local.date() == today.date():
        return f"{local:%H:%M:%S}"
    return f"{local:%d %b, %H:%M}" if local.year == today.year else f"{local:%d %b %Y, %H:%M}"


def minute(when: datetime, at: datetime) -> str:
    """Return `moment` without seconds: “15:58”, “23 Nov, 15:58”. For sentences."""
    local = timezone.localtime(when)
    return f"{local:%H:%M}" if local.date() == timezone.localtime(at).date() else moment(when, at)


def clock_time(moment: datetime, at: datetime) -> SafeString:
    """Return the time of day in the queue's zone, with its day under it unless it is today."""
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
    """Draw a cell for each slot: used, free, above a lowered limit, or ``held`` by a pause. Above 20 slots, draw a meter."""
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
    """Return a value as indented JSON, to read and to copy."""
    return escaped_in_json(json.dumps(value, ensure_ascii=False, indent=2, sort_keys=sort_keys))


def link(url: str, text: str) -> SafeString:
    return format_html('<a href="{}">{}</a>', url, text)


def cells(columns: Sequence[str], values: Sequence[str]) -> SafeString:
    """Return the cells of a row, marked as in Django's list, in a third of its time; the column ``job`` heads the row."""
    return format_html(_cells(tuple(columns)), *values)


@lru_cache(maxsize=16)
def _cells(columns: tuple[str, ...]) -> str:
    heads = {"action_checkbox": '<td class="action-checkbox">{}</td>', "job": '<th class="field-job">{}</th>'}
    return "".join(heads.get(name, f'<td class="field-{name}">{{}}</td>') for name in columns)


def chooser(name: str, row: int, label: str) -> SafeString:
    """Return the checkbox that selects a row for actions; Django renders a template for each."""
    box = '<input type="checkbox" name="{}" value="{}" class="action-select" aria-label="{}">'
    return format_html(box, name, str(row), label)


def marked(pieces: Iterable[tuple[str, bool]]) -> SafeString:
    """Return a text from pieces, with the matches of compliance rules highlighted."""
    return format_html_join("", "{}", ((format_html("<mark>{}</mark>", text) if hit else text,) for text, hit in pieces))


def emphasised(pieces: Iterable[tuple[str, bool]]) -> SafeString:
    """Return a text from pieces, some of them bold."""
    shown = (format_html('<b class="gq-differs">{}</b>', text) if bold else text for text, bold in pieces)
    return format_html_join("", "{}", ((piece,) for piece in shown))


def chips(words: Iterable[str]) -> SafeString:
    return format_html_join(" ", '<span class="gq-chip">{}</span>', ((word,) for word in words))


def parameters(job: Job) -> list[str]:
    """Return a job's parameters as short facts: “8s”, “16:9”, “seed 7”, “sound”, “from first frame”."""
    said = {
        "duration": "{}s",
        "aspect_ratio": "{}",
        "resolution": "{}",
        "quality": "{} quality",
        "count": "{} images",
        "audio": "sound",
        "images": "from {}",
    }
    return [
        said.get(name, name.replace("_", " ") + ("" if value is True else " {}")).format(value)
        for name, value in ((name, images_sent(value) if name == "images" else value) for name, value in job.parameters.items())
        if value not in (False, None, "")
    ]


def images_sent(images: Mapping[str, Any]) -> str:
    """Return which images a job starts from: “first frame, 2 references”."""
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
    "long": "workers for long calls",
}


def limit_name(limit: str, key: str) -> str:
    """Return the name of a limit for people: “whole queue”, “account fal”, “kling-1.6”."""
    return _LIMITS[limit].format(key)


def held_by(blocker: Blocker, at: datetime) -> str:
    """Return in a few words why a queued job waits; empty if it only waits for its turn."""
    until = moment(blocker.until, at) if blocker.until else ""
    if blocker.limit == "jobs_ahead":
        return ""
    if blocker.limit == "not_before":
        return f"starts at {until} or later"
    if blocker.limit == "budget":
        return f"{blocker.key} budget used up until {until}" if until else f"{blocker.key} budget: {blocker.reason}"
    if blocker.limit == "held":
        return f"waits for {blocker.reason}"
    # an account's key says enough in a row of a list
    name = blocker.key if blocker.limit == "account" else limit_name(blocker.limit, blocker.key)
    if blocker.max:
        return f"{name} {blocker.used} of {blocker.max}"
    return f"{name} until {until}" if until else f"{name}: {one_line(blocker.reason)}"


def pause(paused: bool, reason: str, until: datetime | None) -> SafeString:
    """Return a pause with its reason and end; a dash if there is none."""
    if not paused:
        return SafeString("–")
    words = " · ".join(filter(None, [one_line(reason), f"until {timezone.localtime(until):%d %b, %H:%M}" if until else ""]))
    return with_sub(format_html('<span class="gq-badge is-warn">{}Paused</span>', icon("pause")), words)
