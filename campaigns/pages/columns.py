"""The columns of a CSV file of pages, by our names and by those that people write."""

import re
from collections.abc import Sequence

from campaigns.pages import grid, product_data, wording
from campaigns.pages.grid import FileRefused

COLUMNS = (
    "page_type",
    "target_url",
    "keywords",
    "language",
    "brand_voice",
    "brief",
    "skus",
    "product",
    "sku_count",
    "monthly_searches",
    "content_status",
    "deadline",
    "competitor_urls",
    "questions",
    "skip_quality_check",
)
NEEDED = ("page_type", "target_url", "keywords", "language")
REASONS = "reasons"  # of `table.with_reasons`; ignored when such a file is read again
_ALIASES = {  # what may be meant by other names; we ask, as such a column may be the file's own
    "type": "page_type",
    "url": "target_url",
    "keyword": "keywords",
    "lang": "language",
    "voice": "brand_voice",
    "products": "product",
    "searches": "monthly_searches",
    "competitors": "competitor_urls",
    "prompt": "brief",
    "seo": "questions",
    "seo.questions": "questions",
    "faq": "questions",
}
_API_ONLY = re.compile(r"seo\..*|related|links")  # inputs of a page, never a fact of a product
_SAME = {"sku": "skus"}  # taken without asking
ATTRIBUTE = "product.attributes."
_PRODUCT = tuple(f"product.{key}" for key in product_data.KEYS if key != "attributes")


def named(name: str) -> str:
    """Return our name of a column; empty if it is none of ours."""
    text = wording.line(name)
    key = re.sub(r"[\s_-]+", "_", text.lower())
    key = _SAME.get(key, key)
    if key in COLUMNS or key in _PRODUCT or key == REASONS:
        return key
    label = text[len(ATTRIBUTE) :].strip() if key.startswith(ATTRIBUTE) else ""
    return f"{ATTRIBUTE}{label}" if label else ""


def read(names: Sequence[str]) -> tuple[str, ...]:
    """
    Return our names of all columns.

    :raises FileRefused: some are unknown, missing or twice the same.
    """
    found = [named(name) for name in names]
    problems = grid.name_problems(names)
    unknown = [name for name, ours in zip(names, found, strict=True) if name and not ours]
    meant = {_ALIASES.get(name.lower(), "") for name in unknown}
    problems += [f"Unknown column {wording.quoted(name)}.{_hint(name)}" for name in unknown]
    problems += [f"Add a column {name}." for name in NEEDED if name not in found and name not in meant]
    if not problems and (twice := next((name for index, name in enumerate(found) if name in found[:index]), "")):
        problems = [f"Column {twice} is here twice, under two names. Remove one of the two."]
    if problems:
        raise FileRefused(*problems[: grid.TOLD_MOST])
    return tuple(found)


def _hint(name: str) -> str:
    text = name.lower().strip()
    if text in _ALIASES:
        return f" Did you mean {_ALIASES[text]}?"
    if f"product.{text}" in _PRODUCT:
        return f" Did you mean product.{text}?"
    if _API_ONLY.fullmatch(text):
        return " Remove it: only the API takes it."
    return wording.did_you_mean(text, [*COLUMNS, *_PRODUCT]) or f" Remove it, or call it {ATTRIBUTE}{wording.line(name)[:40]}."
