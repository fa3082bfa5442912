"""What the pages of campaigns and of other batches do in the same way."""

from django.contrib import messages
from django.db.models import Sum
from django.http import HttpRequest

from queue_app import clock
from queue_app.lifecycle import CancelVerdict
from queue_app.models import Batch, Reservation
from queue_app.rules.numbers import counted
from queue_app.ui.access import viewer
from queue_app.work import batches


def cancel(request: HttpRequest, batch: Batch, *, noun: str) -> None:
    """Cancel the unfinished jobs of a batch, and say what became of them. ``noun`` is what they are called."""
    at, reason = clock.now(), request.POST.get("reason", "")[:300]
    verdicts = batches.cancel(batch, at=at, actor=viewer(request), reason=reason)
    back = Reservation.objects.filter(job__batch=batch, state=Reservation.State.RELEASED, settled_at=at)
    tickets = back.aggregate(sum=Sum("amount"))["sum"] or 0
    stopped, asked = verdicts[CancelVerdict.CANCELLED], verdicts[CancelVerdict.REQUESTED]
    if stopped:
        messages.success(request, f"{counted(stopped, noun)} cancelled. {counted(tickets, 'ticket')} returned.")
    if asked:
        show = "It shows" if asked == 1 else "They show"
        words = f"Asked the provider to stop {counted(asked, noun)}. {show} “Cancelling” until it confirms."
        messages.info(request, words)
    if not stopped and not asked:
        messages.info(request, "Nothing left to cancel.")
