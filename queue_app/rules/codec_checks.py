"""Checks of a codec, for the person who edits it. Takes any JSON and raises nothing."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from queue_app.rules.codec import FORMATS, MEMBERS, PARAMETERS, ROLES, SEED_HIGH, SEED_LOW, URL_MARK
from queue_app.rules.parameters import given, listed

LONGEST_SECONDS, MOST_IMAGES, MOST_CHARACTERS, LONGEST_NAME = 3_600, 100, 1_000_000, 200
_AS = ("integer", "number", "string", "string_s")
_WAY_MEMBERS = {*ROLES, "endpoint", "from_image", "codec"}
Problems = Iterator[str]


def problems(codec: Any) -> list[str]:
    """Return the problems of a codec; an empty list if it can be used."""
    return list(_problems(codec)) if isinstance(codec, dict) else ["A codec is an object."]


def _problems(codec: Mapping[str, Any], *, within: str = "", inner: bool = False) -> Problems:
    """Yield the problems of parts. ``inner`` is for the parts that differ with images: there null removes a part."""
    for name, part in codec.items():
        where = f"{within}{name}"
        if name == "images" and not inner:
            yield from _image_problems(part)
        elif name != "always" and name not in MEMBERS:
            yield f"Unknown part “{where[:60]}”. Available: {', '.join([*MEMBERS, 'images', 'always'])}."
        elif part is None and inner:
            continue
        elif not isinstance(part, dict):
            yield f"{where} must be an object."
        elif name != "always":
            yield from (f"{where}: {words}" for words in _part_problems(name, part))


def _part_problems(name: str, part: Mapping[str, Any]) -> Problems:
    if unknown := sorted(set(part) - MEMBERS[name]):
        yield f"Unknown member {listed(unknown)}. Available: {', '.join(sorted(MEMBERS[name]))}."
    elif "fixed" in part:
        if len(part) > 1:
            yield "“fixed” stands alone."
        elif not _can_be_fixed(name, part["fixed"]):
            yield f"“fixed” can't be {given(part['fixed'], like=0)}."
    elif name == "answer":
        yield from _answer_problems(part)
    else:
        yield from _field_problems(name, part)
        yield from _VALUE_PROBLEMS.get(name, _none)(part)


def _field_problems(name: str, part: Mapping[str, Any]) -> Problems:
    if "fields" in part:
        fields = part["fields"]
        if "field" in part or not (isinstance(fields, list) and len(fields) == 2 and all(map(_is_name, fields))):
            yield "“fields” are two names, for width and height, in place of “field”."
    elif not _is_name(part.get("field")) and not (name == "prompt" and "field" not in part):
        yield "“field” must be the name of a field."


def _answer_problems(part: Mapping[str, Any]) -> Problems:
    if "limit" in part and not _is_name(part["limit"]):
        yield "“limit” must be the name of a field."
    if "format" in part and part["format"] not in FORMATS:
        yield f"“format” must be {listed(FORMATS)}."


def _duration_problems(part: Mapping[str, Any]) -> Problems:
    if part.get("as") not in _AS:
        yield f"“as” must be {listed(_AS)}."
    if "values" not in part:
        if not _is_span(part, 1, LONGEST_SECONDS):
            yield "Give “values”, or “low” and “high” in whole seconds."
    elif "low" in part or "high" in part:
        yield "Give either “values” or “low” and “high”."
    elif not (
        isinstance(part["values"], list) and part["values"] and all(_is_whole(one, 1, LONGEST_SECONDS) for one in part["values"])
    ):
        yield "“values” must be a list of whole seconds."


def _aspect_problems(part: Mapping[str, Any]) -> Problems:
    named = [name for name in ("values", "sizes", "by_resolution") if name in part]
    if len(named) != 1:
        yield "Give one of “values”, “sizes” and “by_resolution”."
        return
    if "values" in part:
        yield from _word_problems(part)
        if "fields" in part:
            yield "“fields” needs sizes of [width, height]."
        return
    tables = {"": part["sizes"]} if "sizes" in part else part["by_resolution"]
    if not (isinstance(tables, dict) and tables and all(map(_is_word, tables)) and all(map(_is_sizes, tables.values()))):
        yield "Sizes must be names or [width, height] by aspect ratio."
    elif "fields" in part and any(isinstance(size, str) for table in tables.values() for size in table.values()):
        yield "“fields” needs sizes of [width, height]."


def _word_problems(part: Mapping[str, Any]) -> Problems:
    values = part.get("values")
    words = [*values, *values.values()] if isinstance(values, dict) else values
    if not (isinstance(words, list) and words and all(map(_is_name, words))):
        yield "“values” must be a list of words, or an object of them: ours to theirs."


def _seed_problems(part: Mapping[str, Any]) -> Problems:
    if not _is_span({"low": SEED_LOW, "high": SEED_HIGH} | dict(part), -(2**63), 2**63 - 1):
        yield "“low” and “high” must be whole numbers."


def _most_problems(part: Mapping[str, Any]) -> Problems:
    if not _is_whole(part.get("most"), 1, MOST_CHARACTERS):
        yield "“most” must be a number of characters."


def _prompt_problems(part: Mapping[str, Any]) -> Problems:
    if "most" in part:
        yield from _most_problems(part)


def _count_problems(part: Mapping[str, Any]) -> Problems:
    if not _is_whole(part.get("high"), 1, MOST_IMAGES):
        yield f"“high” must be a whole number from 1 to {MOST_IMAGES}."


def _none(part: Mapping[str, Any]) -> Problems:
    yield from ()


_VALUE_PROBLEMS: dict[str, Callable[[Mapping[str, Any]], Problems]] = {
    "duration": _duration_problems,
    "aspect": _aspect_problems,
    "resolution": _word_problems,
    "quality": _word_problems,
    "seed": _seed_problems,
    "negative_prompt": _most_problems,
    "prompt": _prompt_problems,
    "count": _count_problems,
}


# --- images ---------------------------------------------------------------------------------------------------------


def _image_problems(images: Any) -> Problems:
    for number, way in enumerate(images if isinstance(images, list) else [images]):
        where = f"images[{number}]" if isinstance(images, list) else "images"
        if not isinstance(way, dict):
            yield f"{where} must be an object."
        elif unknown := sorted(set(way) - _WAY_MEMBERS):
            yield f"{where} has no member {listed(unknown)}. Available: {', '.join(sorted(_WAY_MEMBERS))}."
        elif not set(way) & set(ROLES):
            yield f"{where} must take {listed(ROLES)}."
        else:
            yield from (f"{where}{words}" for words in _way_problems(way))
            yield from _problems(way.get("codec", {}), within=f"{where}.codec.", inner=True) if _has_parts(way) else ()


def _way_problems(way: Mapping[str, Any]) -> Problems:
    for role in ROLES:
        if role in way:
            yield from (f".{role} {words}" for words in _role_problems(role, way[role]))
    if "endpoint" in way and not _is_name(way["endpoint"]):
        yield ".endpoint must be the name of an endpoint."
    following = way.get("from_image", [])
    if not (isinstance(following, list) and all(isinstance(one, str) and one in PARAMETERS for one in following)):
        yield f".from_image must be a list of parameters. Available: {', '.join(PARAMETERS)}."
    if not _has_parts(way):
        yield ".codec must be an object."


def _has_parts(way: Mapping[str, Any]) -> bool:
    return isinstance(way.get("codec", {}), dict)


def _role_problems(role: str, how: Any) -> Problems:
    is_list = role == "references"
    if not is_list and _is_name(how):
        return
    members = {"field", "item", "most" if is_list else "list"}
    if not isinstance(how, dict) or not set(how) <= members or not _is_name(how.get("field")):
        yield f"must be {'' if is_list else 'a field, or '}an object of {', '.join(sorted(members))}."
        return
    if is_list and not _is_whole(how.get("most"), 1, MOST_IMAGES):
        yield f"needs “most”, a whole number from 1 to {MOST_IMAGES}."
    if not isinstance(how.get("list", False), bool):
        yield "takes true or false as “list”."
    if "item" in how and not _holds_the_mark(how["item"]):
        yield f"needs “{URL_MARK}” as a value in its “item”."


def _holds_the_mark(item: Any) -> bool:
    if isinstance(item, dict):
        return any(map(_holds_the_mark, item.values()))
    return bool(item == URL_MARK)


# --- values ---------------------------------------------------------------------------------------------------------


def _can_be_fixed(name: str, value: Any) -> bool:
    if name in ("audio", "loop"):
        return isinstance(value, bool)
    return _is_whole(value, 1, LONGEST_SECONDS) if name == "duration" else _is_name(value)


def _is_sizes(table: Any) -> bool:
    """Whether this is an object of ratios and their sizes."""

    def is_size(size: Any) -> bool:
        sides = isinstance(size, list) and len(size) == 2 and all(_is_whole(side, 1, 100_000) for side in size)
        return sides or _is_name(size)

    return isinstance(table, dict) and bool(table) and all(map(_is_name, table)) and all(map(is_size, table.values()))


def _is_span(part: Mapping[str, Any], least: int, most: int) -> bool:
    return all(_is_whole(part.get(name), least, most) for name in ("low", "high")) and part["low"] <= part["high"]


def _is_whole(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_NAME


def _is_name(value: Any) -> bool:
    return _is_word(value) and bool(value.strip())
