"""
API keys and passwords, which let someone in as a user. Making, changing, revoking and setting one are audited for every caller.

Users make keys with any scope, none of which is a right. A key that makes another gives it no scope, no end and no rate beyond
its own, and it neither changes nor revokes one with more scopes, so that what is entrusted to a program stays within bounds. One
with a ticket budget makes none.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from knox.models import get_digest_token
from knox.settings import CONSTANTS

from queue_app.models import ApiKey, Batch, QueueSettings, State, User
from queue_app.rules.words import one_line
from queue_app.work import intake, policy, ticket_budgets

DAYS = (30, 90, 365)  # that a page offers
VALID_MOST = 50  # keys of a user that are neither revoked nor expired
HOURLY_MOST = 20  # keys that a user may create in an hour
KEPT = timedelta(days=30)  # that a revoked or expired key stays listed


@dataclass(frozen=True)
class KeyProblem:
    """What is wrong with a field of a request; with the whole of it if ``field`` is empty."""

    field: str
    message: str


class KeyRefused(Exception):
    """The request is refused. Nothing was written. ``problems`` say why, by field."""

    def __init__(self, *problems: KeyProblem) -> None:
        self.problems = list(problems)
        super().__init__(" ".join(problem.message for problem in problems))


class KeysFull(KeyRefused):
    """The user has `VALID_MOST` valid keys."""


class KeyRevoked(Exception):
    """A revoked key can't be changed."""

    detail = "This key is revoked. Create a new one."


class TooManyKeys(Exception):
    """The user has created the most keys of an hour; the next may come in ``wait`` seconds."""

    def __init__(self, wait: float) -> None:
        self.wait = wait
        self.detail = f"You created {HOURLY_MOST} keys within an hour. Try again later."
        super().__init__(self.detail)


@dataclass(frozen=True)
class NewKey:
    """
    A request for a key. ``expires_at=None``: never. ``form_key`` is that of the form: sent again, it creates no second key.
    ``budget`` is its daily ticket budget, if it has one.
    """

    name: str
    scopes: tuple[str, ...]
    expires_at: datetime | None = None
    form_key: UUID | None = None
    budget: int | None = None


def of(user: User) -> QuerySet[ApiKey]:
    """Return the keys of a user, the newest first: valid ones, and those revoked or expired not long ago."""
    rows: QuerySet[ApiKey] = ApiKey.objects.filter(user=user).order_by("-id")
    return rows


def valid(user: User, *, at: datetime) -> QuerySet[ApiKey]:
    """Return the keys that let this user in."""
    return of(user).filter(Q(expiry=None) | Q(expiry__gt=at), revoked_at=None)


def problems(user: User, new: NewKey, *, at: datetime, by: ApiKey | None = None) -> list[KeyProblem]:
    """Return what is wrong with the fields of a request, as `make` refuses it."""
    return [
        *_wrong_name(one_line(new.name)),
        *_wrong_scopes(new.scopes, by),
        *_wrong_end(new.expires_at, at, by),
        *_wrong_budget(new.budget),
        *_limited(by, "create keys"),
    ]


@transaction.atomic
def make(user: User, new: NewKey, *, at: datetime, actor: User | None, by: ApiKey | None = None) -> tuple[ApiKey, str]:
    """
    Make an API key for a user. Return it with the key itself, which can't be read later: only its hash is stored. If this form
    has made it before, return it with an empty text.

    :param actor: ``None`` for the command line, which may give any scope.
    :param by: the key of the request, if it has one.
    :raises KeyRefused: a field is wrong, or wider than the user or ``by`` may give; or ``by`` has a ticket budget.
    :raises TooManyKeys: the user has made too many within an hour.
    """
    name, scopes = one_line(new.name), [scope for scope in ApiKey.SCOPES if scope in new.scopes]
    User.objects.select_for_update(no_key=True).get(pk=user.pk)  # two forms can't pass the limits together
    before = of(user).filter(form_key=new.form_key).first() if new.form_key else None
    if before is not None:
        return before, ""
    if actor is not None:
        _check(problems(user, new, at=at, by=by))
        _check_number(user, at)
        _check_hour(user, at)
    digest, key = get_digest_token()
    row = ApiKey(user=user, token_key=key[: CONSTANTS.TOKEN_KEY_LENGTH], digest=digest, name=name, scopes=scopes)
    row.expiry, row.form_key = new.expires_at, new.form_key
    if by is not None:
        row.reads_per_minute, row.writes_per_minute = by.reads_per_minute, by.writes_per_minute
    row.save(force_insert=True)
    after: dict[str, Any] = {"user": user.username, "name": name, "scopes": scopes, "expires_at": new.expires_at}
    if new.budget is not None:
        ticket_budgets.add(row, new.budget, at=at)
        after["budget_tickets_per_day"] = new.budget
    policy.audit("add API key", str(row), at=at, actor=actor, after=after, of=user)
    return row, str(key)


@transaction.atomic
def change(key: ApiKey, values: Mapping[str, Any], *, at: datetime, actor: User, by: ApiKey | None = None) -> ApiKey:
    """
    Rename a key, move its end, or set its daily ticket budget. Return it as it is then.

    :param values: some of ``name``, ``expires_at`` and ``budget`` (``None``: none).
    :param by: the key of the request, if it has one.
    :raises KeyRefused: a field is wrong, the key has more scopes than ``by``, or the end is later than ``by`` may give; or
        ``by`` has a ticket budget and a budget is to change.
    :raises KeyRevoked: nothing can be changed of it.
    """
    if "budget" in values:
        QueueSettings.objects.lock_claims()  # before all other locks
    User.objects.select_for_update(no_key=True).get(pk=key.user_id)
    row = _locked(key)
    if row.revoked_at is not None:
        raise KeyRevoked
    was = {"name": row.name, "expires_at": row.expiry}
    now = was | {name: value for name, value in values.items() if name in was}
    now["name"] = one_line(now["name"])
    changed = [name for name in now if now[name] != was[name]]
    _check(_wrong_name(now["name"]) + _wider(row.scopes, by, ""))
    if "budget" in values:
        _check(_wrong_budget(values["budget"]) + _limited(by, "change budgets"))
        ticket_budgets.set_own(row, values["budget"], at=at, actor=actor)
    if "expires_at" in changed:
        _check(_wrong_end(now["expires_at"], at, by))
        if row.expiry is not None and row.expiry <= at:
            _check_number(row.user, at)
    if changed:
        row.name, row.expiry = now["name"], now["expires_at"]
        row.save(update_fields=["name", "expiry"])
        before, after = ({name: values[name] for name in changed} for values in (was, now))
        policy.audit("change API key", str(row), at=at, actor=actor, before=before, after=after, of=row.user)
    return row


def refuse_limited(by: ApiKey | None, act: str, *, of: Batch | None = None) -> None:
    """
    Refuse an act with a key that has a ticket budget, if jobs start by it that don't count in that.

    :param of: only queued jobs of this batch may start by it. Those submitted with the key itself count.
    :raises KeyRefused: they do.
    """
    if (found := _limited(by, act)) and (of is None or of.jobs.filter(state=State.QUEUED).exclude(submitted_with=by).exists()):
        raise KeyRefused(*found)


@transaction.atomic
def revoke(key: ApiKey, *, at: datetime, actor: User, by: ApiKey | None = None) -> bool:
    """
    Revoke an API key forever: its next call is refused. Return whether it was not revoked before.

    :param by: the key of the request, if it has one.
    :raises KeyRefused: the key has more scopes than ``by``.
    """
    row = _locked(key)
    _check(_wider(row.scopes, by, ""))
    if row.revoked_at is not None:
        return False
    key.revoked_at = row.revoked_at = at
    row.save(update_fields=["revoked_at"])
    policy.audit("revoke API key", str(row), at=at, actor=actor, before={"scopes": row.scopes}, of=row.user)
    return True


def password_set(user: User, *, at: datetime, actor: User) -> None:
    """Audit that ``actor`` set the user's password, in the transaction of that: they may log in as that user."""
    policy.audit("set password", user.username, at=at, actor=actor, of=user)


def _locked(key: ApiKey) -> ApiKey:
    row: ApiKey = ApiKey.objects.select_for_update(no_key=True, of=("self",)).select_related("user").get(pk=key.pk)
    return row


def _check(found: Sequence[KeyProblem]) -> None:
    if found:
        raise KeyRefused(*found)


def _check_number(user: User, at: datetime) -> None:
    if valid(user, at=at).count() >= VALID_MOST:
        raise KeysFull(KeyProblem("", f"You have {VALID_MOST} keys. Revoke one first."))


def _check_hour(user: User, at: datetime) -> None:
    since = at - timedelta(hours=1)
    made = list(of(user).filter(created__gt=since).values_list("created", flat=True)[:HOURLY_MOST])
    if len(made) == HOURLY_MOST:
        raise TooManyKeys((made[-1] - since).total_seconds())


def _wrong_name(name: str) -> list[KeyProblem]:
    if len(name) > ApiKey.NAME_MOST:
        over = len(name) - ApiKey.NAME_MOST
        return [KeyProblem("name", f"Too long: {len(name):,} of {ApiKey.NAME_MOST} characters. Shorten it by {over:,}.")]
    problem = intake.text_problem(name)
    return [KeyProblem("name", problem)] if problem else []


def _wrong_scopes(scopes: Iterable[str], by: ApiKey | None) -> list[KeyProblem]:
    asked = list(scopes)
    if not asked:
        return [KeyProblem("scopes", "Choose at least one scope.")]
    if unknown := [scope for scope in asked if scope not in ApiKey.SCOPES]:
        return [KeyProblem("scopes", f"Unknown scope “{unknown[0][:40]}”. Available: {', '.join(ApiKey.SCOPES)}.")]
    return _wider(asked, by, "scopes")


def _wider(scopes: Iterable[str], by: ApiKey | None, field: str) -> list[KeyProblem]:
    """Return a problem if the key of the request lacks one of these scopes."""
    lacked = [scope for scope in scopes if by is not None and scope not in by.scopes]
    return [KeyProblem(field, f"The key of this request lacks the “{lacked[0]}” scope.")] if lacked else []


def _wrong_end(expires_at: datetime | None, at: datetime, by: ApiKey | None) -> list[KeyProblem]:
    if expires_at is not None and expires_at <= at:
        return [KeyProblem("expires_at", "Choose a time in the future.")]
    if by is not None and by.expiry is not None and (expires_at is None or expires_at > by.expiry):
        end = f"{by.expiry:%Y-%m-%dT%H:%M:%SZ}"
        return [KeyProblem("expires_at", f"The key of this request expires at {end}. Choose that time or an earlier one.")]
    return []


def _wrong_budget(tickets: int | None) -> list[KeyProblem]:
    problem = ticket_budgets.problem(tickets) if tickets is not None else None
    return [KeyProblem("budget_tickets_per_day", problem)] if problem else []


def _limited(by: ApiKey | None, act: str) -> list[KeyProblem]:
    """Return a problem if the key of the request has a ticket budget: with other keys it could exceed it."""
    if by is None or not by.ticket_budgets.filter(lifted=False).exists():
        return []
    return [KeyProblem("", f"The key of this request has a ticket budget, so it can't {act}.")]
