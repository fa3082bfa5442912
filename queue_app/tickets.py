"""
Tickets: the only writer of wallets, reservations and the ledger.

Tickets are reserved at intake, captured when the files are stored, and released on failure or cancel. Grants add tickets,
refunds return captured ones. Verbs run in the caller's transaction, work on sets, and lock wallets last, ids ascending.
"""

import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from django.db import connection, transaction
from django.db.models import Sum

from queue_app import announce
from queue_app.models import Job, LedgerEntry, LedgerTransaction, Reservation, User, Wallet
from queue_app.rules.numbers import counted
from queue_app.statements import Part

Side = LedgerEntry.Side
Kind = LedgerTransaction.Kind
GRANT_MOST = 1_000_000_000
# kind of movement → (debited side, credited side)
_LEGS = {
    Kind.GRANT: (Side.ISSUED, Side.AVAILABLE),
    Kind.RESERVE: (Side.AVAILABLE, Side.RESERVED),
    Kind.CAPTURE: (Side.RESERVED, Side.SPENT),
    Kind.RELEASE: (Side.RESERVED, Side.AVAILABLE),
    Kind.REFUND: (Side.SPENT, Side.AVAILABLE),
}
# Capture and release share one key, so that a reservation never has both (I6). The lock on the wallets fixes their order, ids
# ascending; the order of the UPDATE does not matter.
_SETTLE = """
    settled AS (
        UPDATE queue_app_reservation SET state = %(settled_as)s, settled_at = %(at)s
         WHERE job_id = ANY(%(jobs)s::bigint[]) AND state = 'held'
        RETURNING id, wallet_id, amount
    ), booked AS (
        INSERT INTO queue_app_ledgertransaction (key, kind, wallet_id, reservation_id, at, actor, reason)
        SELECT 'settle:' || id, %(kind)s::text, wallet_id, id, %(at)s, %(actor)s::text, '' FROM settled ORDER BY id
        RETURNING id, wallet_id, reservation_id
    ), entered AS (
        INSERT INTO queue_app_ledgerentry (transaction_id, wallet_id, side, amount)
        SELECT booked.id, booked.wallet_id, leg.side, leg.sign * settled.amount
          FROM booked JOIN settled ON settled.id = booked.reservation_id
         CROSS JOIN (VALUES (%(gives)s::text, -1), (%(takes)s::text, 1)) AS leg (side, sign)
    ), locked AS (
        SELECT id FROM queue_app_wallet WHERE id IN (SELECT wallet_id FROM settled) ORDER BY id FOR NO KEY UPDATE
    ), wallet AS (
        UPDATE queue_app_wallet wallet
           SET reserved = wallet.reserved - sums.amount,
               available = wallet.available + CASE %(takes)s::text WHEN 'available' THEN sums.amount ELSE 0 END
          FROM locked
          JOIN (SELECT wallet_id, sum(amount)::bigint AS amount FROM settled GROUP BY 1) sums ON sums.wallet_id = locked.id
         WHERE wallet.id = locked.id
    )"""
SETTLED = "(SELECT count(*) FROM settled)"  # the number of settled reservations
_ENTER = """
    INSERT INTO queue_app_ledgerentry (transaction_id, wallet_id, side, amount)
    SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::bigint[])
"""
_MOVE = "UPDATE queue_app_wallet SET available = available + %s, reserved = reserved + %s WHERE id = %s"
_SETTLED_BY = {Kind.CAPTURE: Reservation.State.CAPTURED, Kind.RELEASE: Reservation.State.RELEASED}


class NotEnoughTickets(Exception):
    """The wallet has too few available tickets. Nothing was written."""

    def __init__(self, *, needed: int, available: int):
        self.needed, self.available, self.missing = needed, available, needed - available
        super().__init__(
            f"This needs {counted(needed, 'ticket')}, but only {available:,} {'is' if available == 1 else 'are'} "
            f"available ({self.missing:,} short). Ask staff for tickets, cancel a queued job or order less."
        )

    @property
    def facts(self) -> dict[str, int]:
        """Return the numbers of tickets that an API error adds to its message."""
        return {"needed": self.needed, "available": self.available, "missing": self.missing}


class RefundRefused(Exception):
    """The refund is not possible: nothing charged, nothing left, a wrong amount, or no reason."""


def balances(user: User) -> dict[str, int]:
    """Return ``available``, ``reserved``, ``captured`` and ``refunded`` tickets; all zero for a user without a wallet."""
    wallet = Wallet.objects.filter(owner=user).first()
    if wallet is None:
        return {"available": 0, "reserved": 0, "captured": 0, "refunded": 0}
    spent = dict(
        LedgerEntry.objects.filter(wallet=wallet, side=Side.SPENT, transaction__kind__in=(Kind.CAPTURE, Kind.REFUND))
        .values_list("transaction__kind")
        .annotate(Sum("amount"))
    )
    return {
        "available": wallet.available,
        "reserved": wallet.reserved,
        "captured": spent.get(Kind.CAPTURE, 0),
        "refunded": -spent.get(Kind.REFUND, 0),
    }


def set_low_at(owner: User, low_at: int) -> None:
    """Set the number of available tickets below which a user is told. Another column than those that movements change."""
    Wallet.objects.update_or_create(owner=owner, defaults={"low_at": low_at})


def reserve(jobs: Sequence[Job], *, at: datetime, actor: str) -> None:
    """
    Reserve the price of each job, all or none.

    :raises NotEnoughTickets: an owner's wallet has less available than the sum of the owner's jobs.
    """
    needed: Counter[int] = Counter()
    for job in jobs:
        needed[job.owner_id] += job.tickets
    wallets = _locked_wallets(needed)
    for owner_id, amount in needed.items():
        if wallets[owner_id].available < amount:
            raise NotEnoughTickets(needed=amount, available=wallets[owner_id].available)
    held = Reservation.objects.bulk_create(
        Reservation(job=job, wallet=wallets[job.owner_id], amount=job.tickets, created_at=at) for job in jobs
    )
    _write(
        [
            (
                LedgerTransaction(
                    key=f"reserve:{one.pk}", kind=Kind.RESERVE, wallet_id=one.wallet_id, reservation=one, at=at, actor=actor
                ),
                one.amount,
            )
            for one in held
        ]
    )
    for owner_id, amount in needed.items():
        wallet = wallets[owner_id]
        left = wallet.available - amount
        if left < wallet.low_at <= wallet.available:
            announce.wallet_low(owner_id, available=left, low_at=wallet.low_at, at=at)


def capture() -> Part:
    """Return the part of a statement that charges the reservations of the jobs it moves."""
    return _settle(Kind.CAPTURE)


def release() -> Part:
    """Return the part of a statement that releases the reservations of the jobs it moves, in full."""
    return _settle(Kind.RELEASE)


@transaction.atomic
def grant(owner: User, amount: int, *, at: datetime, actor: str, reason: str, key: str | None = None) -> LedgerTransaction:
    """
    Grant new tickets to a user. ``key`` names the cause: a second call with the same key returns the first grant.

    :raises ValueError: the amount is not 1 to 1,000,000,000, or the reason is empty.
    """
    if not 1 <= amount <= GRANT_MOST:
        raise ValueError(f"Enter 1 to {GRANT_MOST:,} tickets, not {amount:,}.")
    if not reason.strip():
        raise ValueError("Enter a reason for the grant.")
    key = f"grant:{key or uuid.uuid4().hex}"
    wallet = _locked_wallets({owner.pk: amount})[owner.pk]
    existing = LedgerTransaction.objects.filter(key=key).first()
    if existing:
        return existing
    entry = LedgerTransaction(key=key, kind=Kind.GRANT, wallet=wallet, at=at, actor=actor, reason=reason[:500])
    _write([(entry, amount)])
    return entry


@transaction.atomic
def refund(job: Job, *, at: datetime, actor: str, reason: str, amount: int | None = None) -> LedgerTransaction:
    """
    Refund ``amount`` tickets of the job's last capture, or by default all that is left of it (T22).

    :raises RefundRefused: nothing was captured, nothing or less than ``amount`` is left, or the reason is empty.
    """
    if not reason.strip():
        raise RefundRefused("Enter a reason for the refund.")
    captured = Reservation.objects.filter(job=job, state=Reservation.State.CAPTURED).order_by("-id").first()
    if captured is None:
        raise RefundRefused(f"{job} has not been charged, so there is nothing to refund.")
    wallet = _locked_wallets({job.owner_id: 0})[job.owner_id]
    before = LedgerTransaction.objects.filter(reservation=captured, kind=Kind.REFUND)
    given = LedgerEntry.objects.filter(transaction__in=before, side=Side.AVAILABLE).aggregate(sum=Sum("amount"))["sum"] or 0
    left = captured.amount - given
    amount = left if amount is None else amount
    if not 1 <= amount <= left:
        charged = f"{job} was charged {counted(captured.amount, 'ticket')}, {given:,} already refunded."
        raise RefundRefused(f"{charged} {f'Enter 1 to {left:,}.' if left else 'Nothing is left to refund.'}")
    entry = LedgerTransaction(
        key=f"refund:{captured.pk}:{before.count() + 1}",
        kind=Kind.REFUND,
        wallet=wallet,
        reservation=captured,
        at=at,
        actor=actor,
        reason=reason[:500],
    )
    _write([(entry, amount)])
    return entry


def lock(owners: Iterable[int]) -> dict[int, int]:
    """
    Lock the wallets of these owners, ids ascending, until the transaction ends. Return the available tickets by owner id.

    For callers that settle one job after another: without it they would lock the wallets in the order of the jobs.
    """
    return {owner_id: wallet.available for owner_id, wallet in _locked_wallets(dict.fromkeys(owners, 0)).items()}


def _settle(kind: LedgerTransaction.Kind) -> Part:
    gives, takes = map(str, _LEGS[kind])
    return Part(_SETTLE, {"settled_as": str(_SETTLED_BY[kind]), "kind": str(kind), "gives": gives, "takes": takes})


def _write(movements: Sequence[tuple[LedgerTransaction, int]]) -> None:
    """Write transactions with two entries each and update the wallets' columns by the same amounts."""
    if not movements:
        return
    LedgerTransaction.objects.bulk_create(entry for entry, _ in movements)
    legs: list[tuple[int, int, str, int]] = []
    moved: dict[int, Counter[str]] = defaultdict(Counter)
    for entry, amount in movements:
        for side, signed in zip(_LEGS[Kind(entry.kind)], (-amount, amount), strict=True):
            legs.append((entry.pk, entry.wallet_id, str(side), signed))
            moved[entry.wallet_id][side] += signed
    with connection.cursor() as cursor:
        cursor.execute(_ENTER, [list(column) for column in zip(*legs, strict=True)])
        for wallet_id, by in sorted(moved.items()):
            cursor.execute(_MOVE, [by[Side.AVAILABLE], by[Side.RESERVED], wallet_id])


def _locked_wallets(owners: Mapping[int, int]) -> dict[int, Wallet]:
    """Lock and return the wallets of these owners by owner id, locked ids ascending; create missing ones."""

    def locked() -> dict[int, Wallet]:
        # NO KEY: foreign keys of movements, which are written before their wallets, must not wait for this lock
        found = Wallet.objects.select_for_update(no_key=True).filter(owner__in=owners).order_by("id")
        return {wallet.owner_id: wallet for wallet in found}

    wallets = locked()
    missing = owners.keys() - wallets.keys()
    if missing:
        Wallet.objects.bulk_create((Wallet(owner_id=owner) for owner in sorted(missing)), ignore_conflicts=True)
        wallets = locked()
    return wallets
