"""
Everything that people, clients and operators may set, and the code that acts on it (I42): place → reader → its fields.

A reader is ``module:name`` or a template. A field with another name there is written ``field=name``. Code that only passes a
value on (a serializer, a shape, an admin class, the settings themselves) is no reader: `CARRIERS`.
"""

import ast
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.test import RequestFactory
from drf_spectacular.generators import SchemaGenerator

from campaigns import forms
from campaigns.views import quick
from queue_app.models import User

ROOT = Path(__file__).resolve().parent.parent
CARRIERS = re.compile(
    r"(queue_app|campaigns)\.api\.(serializers|answers)\b|genqueue_site\.(settings|environment)\b"
    r"|queue_app\.admin\.(catalog|policy_forms)\b|\.migrations\b|queue_app\.work\.intake:(Draft|_Reader\.job)\b"
)
FOR_CSS = {"width"}  # fields outside of forms, which are never sent: how wide a preview is
_LIMIT = {"queue_app.work.capacity:_LIMITS": "max_concurrent paused paused_reason paused_until"}
_WHY = {"queue_app.work.policy:audit": "why=reason"}
_RULE = {
    "campaigns.models.brand:ComplianceRule.as_rule": "name kind severity",
    "campaigns.plan:_rules": "active",
    "campaigns.rules.compliance:compile": "pattern",
    "campaigns.launch:as_json": "reason",
    "campaigns.rules.compliance:Hit.advice": "instead",
}
_ENDPOINT = {
    "queue_app.outbox.webhooks:_receiver": "url",
    "queue_app.models.outbox:WebhookEndpoint.__str__": "description",
}
_SCHEDULE = {
    "queue_app.work.schedules:_made": "name time_zone",
    "queue_app.work.schedules:_plan": "cron",
    "campaigns.api.schedules:ScheduleViewSet._values": "job=KINDS campaign=KINDS",
}
_VALUE = {
    "campaigns.plan:Reader.choices": "key label retired",
    "campaigns.plan:Reader.dimensions": "position",
}

READERS: dict[str, dict[str, str]] = {
    "environment": {
        "genqueue_site.demo.sample:logins_file": "GENQUEUE_VAR=VAR",
        "queue_app.work.disk:_temporary": "MEDIA_ROOT",
        "django.core.files.storage.handler:StorageHandler.backends": "MEDIA_STORAGE=STORAGES",
        "queue_app.outbox.alerts:_text": "PUBLIC_URL",
        "django.core.handlers.exception:response_for_exception": "DEBUG",
        "genqueue_site.demo.login:people": "DEMO",
        "django.core.signing:Signer.__init__": "SECRET_KEY",
        "django.http.request:HttpRequest.get_host": "ALLOWED_HOSTS",
        "axes.helpers:get_failure_limit": "LOGIN_FAILURES=AXES_FAILURE_LIMIT",
        "django.db.utils:ConnectionHandler": "DATABASE_URL=DATABASES",
        "genqueue_site.db.embedded.base:server_for": "EMBEDDED_FAST=FAST",
        "django.db.backends.base.base:BaseDatabaseWrapper.connect": "CONN_MAX_AGE",
        "queue_app.api.throttling:rate": "API_READS_PER_MINUTE API_WRITES_PER_MINUTE",
        "django_q.conf:Conf": "REDIS_URL=redis WORKERS=workers LONG_WORKERS=workers",
        "queue_app.models.settings:QueueSettings.peak_zone": "QUEUE_TIME_ZONE",
        "campaigns.pages.languages:offered": "PAGE_LANGUAGES",
        "queue_app.work.storing:_fetch": "ASSET_MAX_MEGABYTES=ASSET_MAX_BYTES",
        "queue_app.lifecycle:lease_due": "TIME_SCALE=TIMES",
        "queue_app.work.accounts:_provider_config": "OPENAI_VIDEOS_API_KEY=PROVIDER_KEYS FAL_KEY=PROVIDER_KEYS "
        "REPLICATE_API_TOKEN=PROVIDER_KEYS OPENROUTER_API_KEY=PROVIDER_KEYS OPENAI_IMAGES_API_KEY=PROVIDER_KEYS "
        "CHAT_API_KEY=PROVIDER_KEYS OPENAI_WEBHOOK_SECRET=PROVIDER_KEYS REPLICATE_WEBHOOK_SECRET=PROVIDER_KEYS "
        "OPENROUTER_WEBHOOK_SECRET=PROVIDER_KEYS",
        "queue_app.work.webhooks:url_for": "WEBHOOK_URL",
        "queue_app.work.retention:prune": "WEBHOOKS_KEPT_DAYS=WEBHOOKS_KEPT",
        "queue_app.models.catalog:ProviderAccount.is_usable": "ALLOW_STUDIO",
        "queue_app.work.pipeline.kept:tell_hooks": "STAGE_HOOKS_BEFORE=STAGE_HOOKS STAGE_HOOKS_AFTER=STAGE_HOOKS "
        "STAGE_HOOKS_ERROR=STAGE_HOOKS",
        "queue_app.work.accounts:_studio_config": "STUDIO_URL",
        "queue_app.http.client:request": "TRUSTED_ORIGINS",
        "queue_app.outbox.webhooks:deliver": "WEBHOOK_TRUSTED_ORIGINS",
        "genqueue_site.studio.config:Config.least_seconds": "STUDIO_SECONDS_PER_JOB=seconds_per_job "
        "STUDIO_SECONDS_APART=seconds_apart",
        "genqueue_site.studio.floor:Floor.open": "STUDIO_PARALLEL_RENDERS=parallel_renders",
        "genqueue_site.studio.floor:Floor._render": "STUDIO_LONGER_SIDE=longer_side",
        "genqueue_site.studio.floor:Floor._refuse_when_full": "STUDIO_MAX_RUNNING=max_running",
        "genqueue_site.studio.server:Studio._own": "STUDIO_TEST_FAULTS=scripted_faults",
        "genqueue_site.studio.server:Studio.__init__": "STUDIO_WEBHOOK_SECRET=webhook_secret",
        "genqueue_site.studio.dialects.openai_videos:create": "RENDER_CODEC=codec",
        "django.core.mail.backends.smtp:EmailBackend.__init__": "EMAIL_URL=EMAIL_HOST",
        "django.core.mail.message:EmailMessage.__init__": "MAIL_FROM=DEFAULT_FROM_EMAIL",
        "django:setup": "LOG_LEVEL=LOGGING LOG_FORMAT=LOGGING",
    },
    # --- the API ----------------------------------------------------------------------------------------------------
    "query": {
        "queue_app.api.idempotency:key_of": "Idempotency-Key=HEADER",
        "rest_framework.pagination:CursorPagination": "cursor page_size",
        "queue_app.api.views.jobs:JobViewSet.create": "dry_run",
        "queue_app.api.waits:until_changed": "wait after",
        "queue_app.api.waits:until_ended": "Prefer",
        "queue_app.api.status:answer": "If-None-Match=KNOWN",
        "queue_app.api.views.queue:StreamView.get": "Last-Event-ID=LAST_HEARD",
        "queue_app.api.pagination:JobPages.paginate_queryset": "search ordering",
        "queue_app.api.filters:JobFilterSet": "campaign batch kind model created_after created_before "
        "completed_after completed_before metadata.KEY=metadata",
        "queue_app.api.filters:DeliveryFilterSet": "status",
        "queue_app.api.filters:BatchFilterSet": "paused done",
        "campaigns.api.filters:CombinationFilterSet.with_review": "review",
        "queue_app.api.views.usage:UsageView.get": "from to by owner",
    },
    "JobAsked": {
        "queue_app.work.submission:request_for": "prompt parameters",
        "queue_app.work.dispatch:_HEADS": "model=model_id kind=kind_id priority deadline",
        "queue_app.work.dispatch:wake_due": "not_before",
        "queue_app.rules.priority:score": "metadata",
        "queue_app.outbox.webhooks:_receiver": "callback_url",
    },
    "BatchAsked": {
        "queue_app.api.views.jobs:JobViewSet.batch": "jobs",
        "queue_app.work.intake:enqueue": "name=batch_name max_concurrent",
        "queue_app.announce:batch_ended": "callback_url",
    },
    "JobChange": {"queue_app.api.views.jobs:JobViewSet.partial_update": "priority"},
    "MoveAsked": {"queue_app.api.views.jobs:JobViewSet.move": "to before"},
    "RetryAsked": {"queue_app.work.intake:draft_like": "prompt parameters"},
    "BulkAsked": {
        "queue_app.api.views.bulk:BulkActionViewSet.create": "action filter dry_run delay_seconds reason",
        "queue_app.work.bulk.verbs:SetPriority.apply": "priority",
        "queue_app.work.bulk.verbs:Refund._refund": "tickets",
        "queue_app.work.bulk.verbs:Cancel.apply": "refund",
    },
    "FilterAsked": {
        "queue_app.api.filters:JobFilterSet": "status campaign batch kind model created_after created_before "
        "completed_after completed_before metadata.KEY=metadata",
        "queue_app.api.views.bulk:_matching": "search",
    },
    "BatchChange": {"queue_app.work.batches:change": "name max_concurrent budget_tickets priority"},
    "ModelChange": {"queue_app.work.capacity:_LIMITS": "max_concurrent paused reason=paused_reason until=paused_until"},
    "PauseAsked": {"queue_app.work.capacity:_OWN_LIMITS": "reason=paused_reason until=paused_until"},
    "CampaignAsked": {
        "campaigns.brief:Brief.title": "name",
        "campaigns.launch:_brand": "brand=Brand",
        "campaigns.rules.prompt:_parts": "big_idea visual_messaging audio_messaging product_category",
        "campaigns.plan:Reader.choices": "dimensions",
        "campaigns.plan:Reader._cells": "exclude",
        "campaigns.plan:Reader._model": "model",
        "campaigns.plan:Reader._level": "priority",
        "queue_app.rules.codec:_SAYERS": "aspect_ratio duration loop resolution quality audio count seed negative_prompt",
        "queue_app.rules.codec:say": "images",
        "queue_app.rules.parameters:ALIASES": "num_images reference_images",
        "queue_app.work.capacity:_OWN_LIMITS": "max_concurrent",
        "campaigns.launch:launch": "budget_tickets",
        "queue_app.announce:batch_ended": "callback_url",
        "campaigns.plan:Reader._still": "start still_model",
    },
    "HeldAsked": {
        "campaigns.api.views:CampaignViewSet._chosen": "combinations values",
        "campaigns.releases:Chosen": "all=everything",
    },
    "KeyAsked": {"queue_app.work.keys:make": "name scopes expires_at budget_tickets_per_day=budget"},
    "KeyChange": {"queue_app.work.keys:change": "name expires_at budget_tickets_per_day=budget"},
    "UrlAsked": {"queue_app.api.views.uploads:UploadViewSet.create": "url"},
    "FileAsked": {"queue_app.api.views.uploads:UploadViewSet.create": "file"},
    "ScheduleAsked": _SCHEDULE,
    "ScheduleChange": _SCHEDULE,
    "SchedulePause": {"queue_app.work.schedules:pause": "reason"},
    "ScheduledJob": {
        "queue_app.work.submission:request_for": "prompt parameters",
        "queue_app.work.dispatch:_HEADS": "model=model_id kind=kind_id priority",
        "queue_app.rules.priority:score": "metadata",
        "queue_app.outbox.webhooks:_receiver": "callback_url",
    },
    "EndpointAsked": {"queue_app.announce:JOBS_TOLD": "events", **_ENDPOINT},
    "EndpointChange": {"queue_app.announce:JOBS_TOLD": "events active", **_ENDPOINT},
    "ReviewAsked": {"campaigns.review:judge": "review note"},
    # --- the admin --------------------------------------------------------------------------------------------------
    "QueueSettings": {
        "queue_app.work.capacity:queue_limit": "max_concurrent peak_hours peak_factor",
        "queue_app.work.capacity:Capacity._learn": "user_max_concurrent",
        "campaigns.plan:priority_of": "bulk_priority",
        "campaigns.breaker:look": "matrix_breaker",
        "queue_app.models.settings:QueueSettings.peak_zone": "peak_time_zone",
        "queue_app.work.policy:save": "fair_share",
        "queue_app.work.aging:raise_waiting": "aging_minutes",
        "queue_app.work.capacity:_closed": "paused paused_reason paused_until",
        **_WHY,
    },
    "Batch": {
        "queue_app.work.batches:change": "max_concurrent",
        "queue_app.work.capacity:_OWN_LIMITS": "paused paused_reason paused_until",
        **_WHY,
    },
    "Kind": {
        "queue_app.work.intake:_Reader._kind": "key medium",
        "queue_app.work.intake:restriction": "restricted",
        "queue_app.work.intake:default_priority": "default_priority",
        "queue_app.work.capacity:_LIMITS": "max_concurrent",
        "queue_app.lifecycle:timeout_seconds": "timeout_seconds",
        "queue_app.models.job:Job.retries": "max_attempts backoff retry_base_seconds retry_cap_seconds",
        "queue_app.work.retention:_due_files": "files_kept_days",
        "queue_app.work.retention:_due_answers": "payloads_kept_days",
        "templates/admin/queue_app/job/_origin.html": "label",
        **_WHY,
    },
    "GenerationModel": {
        "queue_app.work.capacity:_OFFERED": "key active",
        "campaigns.views.fields:models": "label",
        "queue_app.work.intake:_Reader._kind": "medium",
        "queue_app.models.catalog:GenerationModel.pricing": "unit tickets_per_unit usd_per_unit price",
        "queue_app.work.progress:seconds_to_next_check": "typical_seconds",
        "queue_app.lifecycle:timeout_seconds": "timeout_seconds",
        "queue_app.models.job:Job.retries": "max_attempts backoff retry_base_seconds retry_cap_seconds",
        "campaigns.plan:Reader.parameters": "parameters",
        **_WHY,
    },
    "ModelConcurrencyLimit": {"queue_app.work.capacity:_OFFERED": "model=model_id", **_LIMIT, **_WHY},
    "ModelRoute": {
        "queue_app.work.capacity:_OFFERED": "model=model_id active position needs_check checked_at",
        "queue_app.work.routes:refusal": "codec",
        "queue_app.insight.snapshot:Snapshot.reasons": "reason",
        "queue_app.work.capacity:Offer.route": "account",
        "queue_app.work.submission:request_for": "endpoint_id",
        **_WHY,
    },
    "ProviderAccount": {
        "queue_app.work.accounts:_provider_config": "key adapter base_url api_key_env webhook_secret_env options",
        "queue_app.work.capacity:_LIMITS": "max_concurrent paused paused_reason paused_until daily_budget_usd",
        "queue_app.work.lookup:look_up": "can_look_up",
        "queue_app.work.pipeline.calls:_lost": "may_repeat",
        "queue_app.rules.lookup:Walk": "trusts_list=trusted",
        **_WHY,
    },
    "TicketBudget": {
        "queue_app.work.ticket_budgets:of": "user batch key",
        "queue_app.work.ticket_budgets:BudgetStanding.left": "tickets",
        "queue_app.work.ticket_budgets:period": "period resets_at",
        **_WHY,
    },
    "AlertRule": {
        "queue_app.work.alerts:review": "active",
        "queue_app.work.alerts:_open": "mail",
        "queue_app.models.alert:AlertRule.calls": "opens_at",
        "queue_app.models.alert:AlertRule.is_over": "closes_at",
        **_WHY,
    },
    "User": {
        "django.contrib.auth.backends:ModelBackend.authenticate": "username password",
        "django.contrib.auth.forms:SetPasswordMixin": "password1 password2",
        "django.contrib.auth.forms:SetUnusablePasswordMixin": "usable_password",
        "templates/campaigns/home.html": "first_name",
        "queue_app.outbox.alerts:deliver": "email",
        "queue_app.work.policy:save": "share_weight",
        "queue_app.api.authentication:ApiKeyAuthentication.authenticate_credentials": "is_active",
        "queue_app.models.job:JobQuerySet.of": "is_staff",
        "django.contrib.auth.models:PermissionsMixin.has_perm": "is_superuser",
        "django.contrib.auth.backends:ModelBackend": "groups user_permissions",
        "queue_app.work.capacity:_OWN_LIMITS": "max_concurrent",
    },
    "ApiKey": {"queue_app.api.throttling:rate": "reads_per_minute writes_per_minute", **_WHY},
    "Group": {"queue_app.work.roles:seed": "name permissions"},
    "Brand": {"campaigns.launch:_brand": "name", "campaigns.plan:Reader.builder": "voice"},
    "ComplianceRule": {**_RULE, "campaigns.models.brand:ComplianceRule.as_rule": "name kind severity brand"},
    "ComplianceRule of a Brand": _RULE,
    "Dimension": {
        "campaigns.plan:Reader.choices": "key label",
        "campaigns.plan:Reader.builder": "prompt_label",
        "campaigns.models.dimension:DimensionQuerySet.offered": "position retired",
    },
    "DimensionValue of a Dimension": _VALUE,
    # --- pages: the names of their inputs and buttons ------------------------------------------------------------------
    "campaign form": {
        "campaigns.brief:Brief.title": "name brand big_idea",
        "campaigns.rules.prompt:_parts": "product_category visual_messaging audio_messaging",
        "campaigns.plan:Reader._model": "model",
        "campaigns.plan:Reader._level": "priority",
        "queue_app.rules.codec:_SAYERS": "aspect_ratio duration loop resolution quality audio count seed negative_prompt",
        "queue_app.work.capacity:_OWN_LIMITS": "max_concurrent",
        "campaigns.plan:Reader._still": "start still_model",
        "campaigns.launch:launch": "budget_tickets",
    },
    "quick form": {
        "queue_app.rules.codec:_SAYERS": "aspect_ratio duration loop resolution quality audio count seed negative_prompt",
        "queue_app.rules.codec:say": "images",
    },
    "pages": {
        "campaigns.forms:read": (
            "do value show filter page paged_for draft revision other tab rendered_model told_count told_tickets"
            " polish_tickets polish_failed"
        ),
        "campaigns.forms:_exclusions": "exclude matrix shown in",
        "campaigns.brief:Brief": "brand product_category big_idea visual_messaging audio_messaging name max_concurrent"
        " budget_tickets",
        "campaigns.plan:Reader._still": "start still_model",
        "campaigns.views.holds:_chosen": "n all",
        "campaigns.views.holds:_words": "find put",
        "campaigns.views.holds:rewrite": "sure told_prompts",
        "campaigns.views.quick:read": "key prompt price kind model",
        "queue_app.admin.prices:calculator": "try.model=model",
        "campaigns.views.home:generate": "look",
        "campaigns.views.notices:page": "notice dismiss",
        "campaigns.views.notices:switch": "low_at",
        "campaigns.views.page:notify": "notify",
        "campaigns.views.home:campaign_list": "search",
        "campaigns.views.board:asked": "rows columns",
        "campaigns.views.mine:_picked": "campaign since",
        "campaigns.views.player:judge": "stay",
        "campaigns.views.jobs:order": "to",
        "campaigns.views.jobs:priority": "priority",
        "campaigns.views.confirmation:shown": "jobs tickets",
        "campaigns.views.cell:judge": "review",
        "campaigns.views.cell:note": "note",
        "campaigns.views.cell:again": "number",
        "campaigns.views.cell:_answer": "next",
        "campaigns.views.watch:judge": "undo",
        "campaigns.views.watch:compare": "left right",
        "campaigns.views.watch:use": "version",
        "campaigns.views.names:page": "template",
        "campaigns.views.more:page": "takes ratio",
        "campaigns.views.share:_read": "form_key label access shows days",
        "campaigns.views.keys:page": "scopes ends budget",
        "campaigns.views.shared:answer": "comment say",
        "campaigns.reel:picked": "verdict sort",
        "campaigns.views.schedules:_read": "cron time_zone kind",
        "campaigns.views.schedules:_only_looks": "preset",
        "campaigns.views.webhooks:_typed": "url description events",
        "campaigns.writing.orders:read": "page_type target_url language keywords brand_voice brief product_data skus"
        " competitor_urls questions content_status deadline skip_quality_check",
        "campaigns.writing.orders:with_voice": "voice_of",
        "campaigns.views.pages_many:_read": "file pasted",
        "campaigns.views.pages_many:_changed": "remove",
        "campaigns.views.pages_catalogue:_delete": "sku",
        "campaigns.views.written:version": "voice",
        "campaigns.views.written:_preview": "against",
        "campaigns.views.written_batch:_picked": "review order",
        "campaigns.views.webhooks:switch": "active",
        "genqueue_site.demo.login:enter": "user",
        "queue_app.admin.usage:read": "by from to",
        "queue_app.admin.dashboard.edits:_asked": "what hold",
        "queue_app.admin.dashboard.edits:pause": "reason minutes",
        "queue_app.admin.dashboard.stop:stop": "queued running word",
        "queue_app.admin.dashboard.stop:queue_again": "resume",
        "queue_app.admin.review:settle": "items",
        "queue_app.admin.jobs:JobAdmin.bulk": "verb query ids",
        "queue_app.admin.jobs:_action": "select_across",
        "queue_app.admin.jobs:JobList.get_queryset": "q=query",
        "queue_app.ui.fragments:unchanged": "seen",
        "queue_app.admin.grants:page": "amount edit",
        "queue_app.admin.endpoints:stop": "reason",
        "queue_app.admin.review_page:decide": "decision task",
        "queue_app.work.bulk.verbs:SetPriority.apply": "priority",
        "queue_app.work.bulk.verbs:Cancel.apply": "refund",
        "django.contrib.admin.options:ModelAdmin.changelist_view": "_save index",
        "django.contrib.admin.options:ModelAdmin.response_action": "action",
    },
}


def places() -> dict[str, set[str]]:
    """Return every place where something can be set, with the names of its fields, as the product itself has them."""
    return {
        "environment": set(re.findall(r"^# ([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.M)),
        "campaign form": set(forms.FIELDS),
        "quick form": set(quick.OFFERED),
        "pages": {name for page in (ROOT / "templates").rglob("*.html") for name in _inputs(page.read_text())} - FOR_CSS,
        **_of_the_api(),
        **_of_the_admin(),
    }


def problems(place: str, fields: set[str], readers: dict[str, str]) -> Iterator[str]:
    """Return the problems of a place: fields without a reader, readers of unknown fields, and readers that do not use theirs."""
    named = {field.partition("=")[0] for listed in readers.values() for field in listed.split()}
    yield from (f"{place}: nothing reads “{field}”" for field in sorted(fields - named))
    yield from (f"{place}: there is no “{field}”" for field in sorted(named - fields))
    for reader, listed in readers.items():
        if CARRIERS.search(reader):
            yield f"{place}: {reader} only hands values on"
        try:
            words = words_of(reader)
        except (ImportError, AttributeError, OSError, TypeError) as error:
            yield f"{place}: no reader {reader} ({error})"
            continue
        for field in listed.split():
            name, _, there = field.partition("=")
            if (there or name) not in words:
                yield f"{place}: {reader} does not read “{there or name}”"


def words_of(reader: str) -> set[str]:
    """Return the names that a reader's code uses: attributes, names, keys; without its docstrings and its parameters."""
    if reader.endswith(".html"):
        return set(re.findall(r"\w+", " ".join(re.findall(r"{[{%].*?[%}]}", (ROOT / reader).read_text()))))
    module, _, path = reader.partition(":")
    found: Any = importlib.import_module(module)
    for name in path.split("."):
        found = inspect.getattr_static(found, name)
    if isinstance(found, str):
        return set(re.findall(r"[\w-]+", found))
    if isinstance(found, dict):
        return set(found)
    found = getattr(found, "fget", None) or getattr(found, "func", None) or getattr(found, "__func__", None) or found
    tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(found))))
    return {word for node in ast.walk(tree) for word in _words(node)} - _docstrings(tree)


def _words(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            yield name
        case ast.keyword(arg=str(name)):
            yield name
        case ast.Constant(value=str(text)):
            yield from re.findall(r"\w+", text)


def _docstrings(tree: ast.AST) -> set[str]:
    """Return the words that occur only in docstrings."""
    strings = {id(node.value): node.value for node in ast.walk(tree) if isinstance(node, ast.Expr) and _is_text(node.value)}
    said = {word for node in strings.values() for word in _words(node)}
    elsewhere = {word for node in ast.walk(tree) if id(node) not in strings for word in _words(node)}
    return said - elsewhere


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _inputs(page: str) -> Iterator[str]:
    for tag in re.findall(r"<(?:input|select|textarea|button)\b[^>]*>", page):
        yield from re.findall(r'\bname="([^"{]+)"', tag)


def _of_the_api() -> dict[str, set[str]]:
    """Yield the parameters and bodies of every API call, as named in the schema."""
    schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    calls = [call for path in schema["paths"].values() for call in path.values()]
    found = {"query": {one["name"] for call in calls for one in call.get("parameters", ()) if one["in"] != "path"}}
    bodies = {name: shape for name, shape in schema["components"]["schemas"].items() if name.endswith("Request")}
    return found | {name.removeprefix("Patched").removesuffix("Request"): set(bodies[name]["properties"]) for name in bodies}


def _of_the_admin() -> dict[str, set[str]]:
    """Yield the forms of the admin that a superuser may save, with their inline rows."""
    request = RequestFactory().get("/admin/")
    request.user = User(is_superuser=True, is_staff=True, is_active=True)
    found: dict[str, set[str]] = {}
    for model, page in admin.site._registry.items():
        if page.has_change_permission(request) or page.has_add_permission(request):
            found[model.__name__] = _fields(page, request, model())
            for inline in page.get_inline_instances(request):
                if inline.has_change_permission(request) and not inline.readonly_fields:
                    rows = inline.get_formset(request).form.base_fields
                    found[f"{inline.model.__name__} of a {model.__name__}"] = set(rows)
    return found


def _fields(page: Any, request: HttpRequest, row: Any) -> set[str]:
    """Return the editable fields of the forms for adding and changing a row, and of the list."""
    new, known = (page.get_form(request, one, change=one is not None).base_fields for one in (None, row))
    return {*new, *known, *page.list_editable}
