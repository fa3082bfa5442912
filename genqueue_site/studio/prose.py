"""
Text from a prompt: a heading, a few paragraphs and a list that take up the prompt's own words, JSON that fits a schema, or the
quoted text of a prompt in better words.

It invents no facts. Equal prompts and seeds give equal texts.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genqueue_site.studio import pages
from genqueue_site.studio.jobs import TEXT, Recipe
from genqueue_site.studio.lettering import LABEL, drawable

DEEPEST = 12  # levels of a schema that are filled
WORDS_OF_A_HEADING = 9
OPENINGS = (
    "This text is about {}.",
    "Here is a first draft on {}.",
    "The following paragraphs take up {}.",
)
MIDDLES = (
    "It starts with {} and stays with it.",
    "The point to remember is {}.",
    "What matters here is {}.",
    "A reader will look for {} first.",
    "Everything else follows from {}.",
)
CLOSINGS = (
    "That is all the prompt says; a real model would go on from here.",
    "The draft ends here, because the prompt says no more.",
)
# a request for better words, with a text between two equal lines; and what is done with the text
POLISH = re.compile(r"Polish\b.*?^(?P<fence>TEXT [0-9a-f]{8,})\n(?P<text>.*)\n(?P=fence)$", re.DOTALL | re.MULTILINE)
TIDIER = (
    (r"\b(?:just|really|very|quite|basically|actually|simply|literally)\s+", ""),
    (r"\ba lot of\b", "many"),
    (r"\bin order to\b", "to"),
    (r"\bdue to the fact that\b", "because"),
    (r"\b(?:makes use of|utili[sz]es)\b", "uses"),
    (r"\bkind of\s+|\bsort of\s+", ""),
    (r"[^\S\n]+", " "),
    (r" ?\n ?", "\n"),
    (r" +([,.;:!?])", r"\1"),
    (r",(?=[^\W\d_])", ", "),
    (r"\b(a) (?=[aeio])", r"\1n "),
    (r"([!?])[!?]+", r"\1"),
)
FLOURISHES = ("Picture this: {}", "Imagine: {}", "Watch: {}")
Schema = Mapping[str, Any]


def write_file(recipe: Recipe, folder: Path) -> None:
    """Write the text of a recipe into its file."""
    (folder / TEXT).write_text(write(recipe.prompt, recipe.seed), encoding="utf-8")


def write(prompt: str, seed: int) -> str:
    """
    Return a text of a few paragraphs, with the words "studio preview" at its end. If the prompt asks for a component of a page or
    to polish a quoted text, return only that.
    """
    if page := pages.read(prompt):
        return pages.answer(page, seed)
    rng, parts = random.Random(f"{seed} {drawable(prompt)}"), _parts(prompt)
    if asked := POLISH.match(drawable(prompt)):
        return polished(asked["text"], rng)
    heading = " ".join(parts[0].split()[:WORDS_OF_A_HEADING])
    paragraphs = [f"# {heading[0].upper()}{heading[1:]}", rng.choice(OPENINGS).format(_inside(parts[0]))]
    sentences = [rng.choice(MIDDLES).format(_inside(part)) for part in parts]
    paragraphs += [" ".join(sentences[start : start + 3]) for start in range(0, len(sentences), 3)]
    paragraphs.append("\n".join(f"- {part[0].upper()}{part[1:]}" for part in parts[:6]))
    paragraphs += [rng.choice(CLOSINGS), f"({LABEL})"]
    return "\n\n".join(paragraphs)


def polished(text: str, rng: random.Random) -> str:
    """Return a text with fewer words and tidy sentences. An English one that is tidy already gets a flourish."""
    better = text.strip()
    for found, instead in TIDIER:
        better = re.sub(found, instead, better, flags=re.IGNORECASE)
    better = re.sub(r"(?:^|[.!?]\s+|\n)[a-zà-ÿ]", lambda start: start[0].upper(), better)
    better = better if not better or better[-1] in ".!?…。！？\"'”’»)" else f"{better}."
    if better != text.strip() or not better.isascii():
        return better
    return rng.choice(FLOURISHES).format(better)


def write_json(prompt: str, seed: int, schema: Schema) -> str:
    """Return a JSON document that fits a schema, its texts made of the prompt's words."""
    return json.dumps(_filled(schema, schema, random.Random(seed), _parts(prompt), DEEPEST), ensure_ascii=False)


def _parts(prompt: str) -> list[str]:
    """Return the clauses of a prompt, at least one and at most twelve."""
    found = [part.strip(" -*#\"'“”") for part in re.split(r"[.;:,\n!?]+", drawable(prompt))]
    return [" ".join(part.split()) for part in found if part][:12] or ["nothing in particular"]


def _inside(part: str) -> str:
    """Return a clause as it is written inside a sentence."""
    first = part.split()[0]
    return part if first[1:].lower() != first[1:] or first == "I" else f"{part[0].lower()}{part[1:]}"


def _filled(schema: Schema, root: Schema, rng: random.Random, parts: Sequence[str], deep: int) -> Any:
    schema = _resolved(schema, root)
    if "const" in schema or schema.get("enum"):
        return schema["const"] if "const" in schema else schema["enum"][0]
    kind = schema.get("type")
    kind = next((one for one in kind if one != "null"), "null") if isinstance(kind, list) else kind
    if kind == "object" or "properties" in schema:
        members = schema.get("properties", {}) if deep else {}
        return {name: _filled(inner, root, rng, parts, deep - 1) for name, inner in members.items()}
    if kind == "array":
        count = max(int(schema.get("minItems", 0)), min(2, int(schema.get("maxItems", 2)))) if deep else 0
        return [_filled(schema.get("items", {}), root, rng, parts, deep - 1) for _ in range(count)]
    if kind in ("integer", "number"):
        return schema.get("minimum", 0)
    if kind in ("boolean", "null"):
        return None if kind == "null" else True
    part = rng.choice(parts)
    text = f"{part[0].upper()}{part[1:]}"
    return text[: int(schema.get("maxLength", 10_000))].ljust(int(schema.get("minLength", 0)), ".")


def _resolved(schema: Schema, root: Schema) -> Schema:
    """Return the schema that a reference or the first of several alternatives stands for."""
    for _ in range(DEEPEST):
        if isinstance(found := schema.get("$ref"), str):
            for name in found.removeprefix("#").strip("/").split("/") if found != "#" else []:
                root = root.get(name, {})
            schema = root
        elif alternatives := next((schema[name] for name in ("anyOf", "oneOf", "allOf") if schema.get(name)), None):
            schema = next((one for one in alternatives if one.get("type") != "null"), alternatives[0])
        else:
            return schema
    return {}
