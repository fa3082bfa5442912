"""The seeded catalogue as a document, `docs/catalogue.md`: what each route offers, how it is sent there, and what it costs."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from queue_app.models.catalog import Medium
from queue_app.rules.codec import ROLES, Codec, part_of, ways_of
from queue_app.rules.codec_offers import Specification, offers
from queue_app.work.catalogue.seeds import MODELS, ModelSeed, RouteSeed

HEAD = """# Catalogue

Every model that a new installation offers, and every route to it: the provider account and endpoint, and how parameters are sent
there. `manage.py seed_catalogue --table` prints this document. Staff can change all of it in the admin; your own installation may
differ.

* A model uses its first active route with a free slot that can express the job. It offers what all of its active routes can.
* “Needs a check” routes are used with an API key once `manage.py check_catalogue --accept` has found them.
* **Sent as** is how 8 seconds are sent. “–” means that the endpoint has no field for it.
* **Prompt** is the most characters that we send.
* `page-writer` takes data instead of a prompt and makes several calls for one page ([api.md](api.md#pages)). Its price is for all
  of them.
* **Tickets** are those of the shortest and the longest video, or of one image, page or text, with the default parameters. Dearer
  rates follow.
"""
NONE = "–"
FEW = 6  # values that are listed one by one
_SECONDS_SENT = {"integer": "8", "number": "8", "string": '"8"', "string_s": '"8s"'}
_ROLE_NAMES = {"first_frame": "first frame", "last_frame": "last frame", "references": "references"}
Cell = Callable[[ModelSeed, RouteSeed], str]


def markdown() -> str:
    """Return the document: a table for each medium, a row for each route."""
    return "\n".join([HEAD, *_lines()]) + "\n"


def _lines() -> Iterator[str]:
    for title, media, columns in _TABLES:
        rows = [(seed, route) for seed in MODELS if seed.medium in media for route in seed.routes]
        models = len({seed.key for seed, _ in rows})
        yield f"## {title}\n\n{models} models, {len(rows)} routes.\n"
        yield _row(["Model", "Account", "Endpoint", *columns])
        yield _row(["---"] * (3 + len(columns)))
        for seed, route in rows:
            cells = (cell(seed, route) for cell in columns.values())
            yield _row([f"`{seed.key}`", route.account, f"`{route.endpoint_id}`", *cells])
        yield ""


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


# --- columns ----------------------------------------------------------------------------------------------------------


def _seconds(seed: ModelSeed, route: RouteSeed) -> str:
    found = offers(route.codec)["duration"]["values"]
    is_span = len(found) > 1 and found == list(range(found[0], found[-1] + 1))
    return f"{found[0]}–{found[-1]}" if is_span else _listed(found)


def _sent_as(seed: ModelSeed, route: RouteSeed) -> str:
    part = route.codec["duration"]
    return "not sent" if "fixed" in part else f"`{part['field']}: {_SECONDS_SENT[part['as']]}`"


def _shape(seed: ModelSeed, route: RouteSeed) -> str:
    part, values = part_of(route.codec, "aspect_ratio"), offers(route.codec).get("aspect_ratio", {}).get("values", [])
    if part is None:
        return NONE
    return f"{_shape_field(part)}, {_listed(values) if len(values) <= FEW else f'{len(values)} ratios'}"


def _shape_field(part: Mapping[str, Any]) -> str:
    """Return the field that a ratio is sent in, with the size that stands for the first one."""
    if "values" in part:
        return f"`{part['field']}`"
    if "fields" in part:
        return " and ".join(f"`{one}`" for one in part["fields"])
    sizes = part["sizes"] if "sizes" in part else next(iter(part["by_resolution"].values()))
    size = next(iter(sizes.values()))
    return f"`{part['field']}: {json.dumps(size) if isinstance(size, str) else '{width, height}'}`"


def _resolution(seed: ModelSeed, route: RouteSeed) -> str:
    return _by_field(route.codec, "resolution", otherwise="by size")


def _quality(seed: ModelSeed, route: RouteSeed) -> str:
    return _by_field(route.codec, "quality")


def _by_field(codec: Codec, name: str, *, otherwise: str = "") -> str:
    values, part = offers(codec).get(name, {}).get("values"), part_of(codec, name)
    if not values:
        return NONE
    field = f"`{part['field']}`" if part and "field" in part else otherwise
    return f"{field}, {_listed(values)}"


def _images(seed: ModelSeed, route: RouteSeed) -> str:
    return "; ".join(", ".join(_roles(way)) for way in ways_of(route.codec)) or NONE


def _roles(way: Mapping[str, Any]) -> Iterator[str]:
    for role in ROLES:
        if role in way:
            how = way[role] if isinstance(way[role], Mapping) else {"field": way[role]}
            most = f"{how['most']} " if "most" in how else ""
            yield f"{most}{_ROLE_NAMES[role]} `{how['field']}`"


def _audio(seed: ModelSeed, route: RouteSeed) -> str:
    part = part_of(route.codec, "audio")
    return NONE if part is None else "always on" if "fixed" in part else f"`{part['field']}`"


def _field_of(name: str) -> Cell:
    def cell(seed: ModelSeed, route: RouteSeed) -> str:
        part = part_of(route.codec, name)
        return f"`{part['field']}`" if part else NONE

    return cell


def _count(seed: ModelSeed, route: RouteSeed) -> str:
    part = part_of(route.codec, "count")
    return f"`{part['field']}`, up to {part['high']}" if part else "1"


def _prompt(seed: ModelSeed, route: RouteSeed) -> str:
    most = route.codec.get("prompt", {}).get("most")
    return f"{most:,}" if most else NONE


def _tickets(seed: ModelSeed, route: RouteSeed) -> str:
    defaults = {name: rule["default"] for name, rule in seed.parameters.items() if "default" in rule}
    offered = offers(route.codec)
    seconds = offered.get("duration", {}).get("values", [1])
    price = seed.pricing
    least, most = (price.tickets_of(defaults | {"duration": one}) for one in (min(seconds), max(seconds)))
    others = [rate for rate in seed.rates if "tickets" in rate and _is_offered(rate["when"], offered)]
    rates = [f"{rate['tickets']} per {price.unit} with {_when(rate['when'])}" for rate in others]
    return "; ".join([str(least) if least == most else f"{least}–{most}", *rates])


def _is_offered(parameters: Mapping[str, Any], offered: Specification) -> bool:
    return all(value in offered.get(name, {}).get("values", ()) for name, value in parameters.items())


def _when(parameters: Mapping[str, Any]) -> str:
    words = {True: "on", False: "off"}
    return ", ".join(f"{name} {words[value] if isinstance(value, bool) else value}" for name, value in parameters.items())


def _state(seed: ModelSeed, route: RouteSeed) -> str:
    if not route.active:
        return route.reason if route.reason.startswith("Retired") else f"Not active. {route.reason}"
    return "Active, needs a check" if route.needs_check else "Active"


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(map(str, values))


_END: dict[str, Cell] = {"Prompt": _prompt, "Tickets": _tickets, "State": _state}
_SEED_FIELD = _field_of("seed")
_TABLES: list[tuple[str, set[Medium], dict[str, Cell]]] = [
    (
        "Videos",
        {Medium.VIDEO},
        {
            "Seconds": _seconds,
            "Sent as": _sent_as,
            "Shape": _shape,
            "Resolution": _resolution,
            "Images": _images,
            "Sound": _audio,
            "Seed": _SEED_FIELD,
            "Negative prompt": _field_of("negative_prompt"),
            **_END,
        },
    ),
    (
        "Images",
        {Medium.IMAGE},
        {
            "Shape": _shape,
            "Resolution": _resolution,
            "Quality": _quality,
            "Images": _images,
            "Seed": _SEED_FIELD,
            "Number of images": _count,
            **_END,
        },
    ),
    ("Pages and texts", {Medium.PAGE, Medium.TEXT}, _END),
]
