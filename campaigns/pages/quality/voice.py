"""What a brand voice says of words to avoid: “Avoid: cheap, best, “game changer””, in the ten languages."""

from __future__ import annotations

import re

_AVOID = re.compile(
    r"(?:avoid|do not use|don't use|vermeiden|vermeide|éviter|évitez|evitar|evite|evitare|evita|vermijd|undvik|unikaj"
    r"|避ける(?:言葉|語)?) ?[:：]([^\n.。]*)",
    re.I,
)
_LISTED = re.compile(r"[“„«「\"]([^”“»」\"\n]{1,80})[”“»」\"]|([^,;、，“”„«»「」\"]+)")


def avoided(voice: str) -> list[str]:
    """Return the words of “Avoid: cheap, best, “game changer”” in a brand voice."""
    found = [quoted or bare for listed in _AVOID.findall(voice) for quoted, bare in _LISTED.findall(listed)]
    return list(dict.fromkeys(word.strip(" .") for word in found if word.strip(" .")))


def without_avoided(voice: str) -> str:
    """Return a brand voice without its lists of words to avoid."""
    return _AVOID.sub("", voice)
