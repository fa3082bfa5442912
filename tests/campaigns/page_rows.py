"""Pages as their stages leave them: the rows that the engine writes, made by hand from the same parts."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction

from campaigns.models import Page
from campaigns.pages import components as makers
from campaigns.pages import plan
from campaigns.pages.assembly import assemble
from campaigns.pages.finishing import finish
from campaigns.pages.types import Check, Component, Context, PageRequest, PageType, Product, Report, as_json
from campaigns.writing.progress import STAGES
from queue_app import lifecycle
from queue_app.models import Asset, Job, JobStage, User
from tests.factories import NOON, make_asset, make_job

SHOE = Product("Fell Soft", "FS-6", "Nordfell", "129.90", "EUR", attributes={"Weight": "240 g", "Lugs": "6 mm", "Drop": "4 mm"})
TEXTS: dict[str, dict[str, Any]] = {
    "hero": {"headline": "Trail running shoes for wet rock", "lead": "Fell Soft has lugs of 6 mm and weighs 240 g."},
    "body": {"sections": [{"heading": "Grip", "paragraphs": ["The lugs are 6 mm deep."], "points": ["Drop of 4 mm"]}]},
    "faq": {"questions": [{"question": "What does it weigh?", "answer": "240 g."}]},
    "meta": {"title": "Trail running shoes | Nordfell", "description": "Fell Soft: 6 mm lugs, 240 g, 129.90 EUR."},
}
CHECKS = (
    Check("words", "pass", "742", "600 to 900", ""),
    Check("grounding", "pass", "31 of 31", "all", ""),
    Check("reading ease", "warn", "52", "60 or more", "Shorten the sentences of the main text."),
)
SUFFIXES = {"page": "html", "markdown": "md", "json-ld": "jsonld"}


def staged_page(
    owner: User,
    state: str = "completed",
    *,
    stages: int = 7,
    paid: Sequence[str] = ("hero", "body", "faq", "meta"),
    texts: Mapping[str, Any] | None = None,
    checks: Sequence[Check] = CHECKS,
    verdict: str = "approve",
    at: datetime = NOON,
    title: str = "Trail running shoes",
    url: str = "https://nordfell.example/en/trail-running-shoes",
    language: str = "en",
    version: int = 1,
    products: Sequence[Product] = (SHOE,),
    **fields: Any,
) -> Page:
    """
    Create a page whose job is in ``state``, with the first ``stages`` of its stages finished. If that is two, the third has
    begun, and a model has written the components ``paid``.
    """
    request = PageRequest(PageType.PRODUCT, url, (title,), language, products=tuple(products))
    context = Context(request, facts=("Weight: 240 g",))
    metadata: dict[str, Any] = {
        "page_type": "product",
        "target_url": url,
        "keywords": [title],
        "language": language,
        "brand_voice": "Dry.",
    }
    metadata["product"] = {"name": SHOE.name, "attributes": dict(SHOE.attributes)}
    known = {"model_id": "page-writer", "parameters": {}, "prompt": "Sell the grip.", "metadata": metadata} | fields
    with transaction.atomic():
        job = make_job("storing" if state == "completed" else state, owner=owner, at=at, **known)
        page = Page.objects.create(
            job=job,
            owner=owner,
            metadata=job.metadata,
            page_type="product",
            target_url=url,
            language=language,
            title=title,
            version=version,
        )
    written = {key: Component(key, {**TEXTS, **(texts or {})}[key]) for key in paid}
    parts = [makers.from_data(one, context) if not one.paid else written.get(one.key) for one in plan.planned(request)]
    document = assemble(context, [part for part in parts if part])
    report = Report(tuple(checks), verdict)  # type: ignore[arg-type]
    files = finish(document, context)
    results = (
        *(as_json(request), as_json(context), {"components": [as_json(part) for part in parts if part]}, as_json(document)),
        *({"report": as_json(report), "document": as_json(document)}, {"files": [as_json(file) for file in files]}, {}),
    )
    for name, result in list(zip(STAGES, results, strict=True))[:stages]:
        _stage(job, name, result, at)
    if stages == 2:
        JobStage.objects.create(job=job, name="component generation", started_at=at)
        for key, component in written.items():
            _stage(job, "component generation", component.content, at, step=key)
    if state == "completed":
        Page.objects.filter(pk=page.pk).update(verdict=verdict, checks_failed=sum(one.outcome == "fail" for one in checks))
        _store(job, [(file.kind, file.content_type, file.text) for file in files], at)
    return Page.objects.select_related("job").get(pk=page.pk)


def end_stage(job: Job, name: str, result: Any, *, at: datetime = NOON) -> None:
    """Finish a stage that has begun."""
    JobStage.objects.filter(job=job, name=name, step="").update(ended_at=at, seconds=1.0, result=result, sha256="0" * 64)


def fail(page: Page, message: str = "The answer is not JSON.", *, at: datetime = NOON) -> None:
    """Let the job of a running page fail."""
    with transaction.atomic():
        job = Job.objects.select_for_update(of=("self",)).select_related("model", "kind", "batch").get(pk=page.pk)
        lifecycle.fail(job, at=at, actor="worker", trouble=lifecycle.Trouble("not_json", message, "rejected"))


def _stage(job: Job, name: str, result: Any, at: datetime, step: str = "") -> None:
    done = {"ended_at": at + timedelta(seconds=2), "seconds": 2.0, "sha256": "0" * 64}
    JobStage.objects.create(job=job, name=name, step=step, started_at=at, result=result, **done)


def _store(job: Job, files: Sequence[tuple[str, str, str]], at: datetime) -> None:
    assets: list[Asset] = []
    for kind, content_type, text in files:
        name = f"assets/2026/11/{uuid.uuid4()}.{SUFFIXES[kind]}"
        asset = make_asset(job, kind=kind, content_type=content_type, size=len(text.encode()), name=name, created_at=at)
        default_storage.save(name, ContentFile(text.encode()))
        assets.append(asset)
    with transaction.atomic():
        lifecycle.complete(job, assets, at=at, actor="worker", stages=[])
