"""
The roles of staff, seeded as groups: viewers, operators of the queue, finance, editors of the catalogue.

Groups are found by name. Seeding adds missing groups with their rights and leaves existing ones as staff edited them. A renamed
role is therefore seeded again under its old name, without members.
"""

from collections.abc import Sequence
from enum import StrEnum

from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.db import models, transaction
from django.db.models import Q

from queue_app.models import AlertRule, GenerationModel, Kind, ModelConcurrencyLimit, ModelRoute, ProviderAccount, QueueSettings


class Right(StrEnum):
    """
    Permissions besides those to view and edit, as `has_perm` takes them. The last two concern a user's own jobs, so end users can
    have them too.
    """

    OPERATE = "queue_app.operate_queue"
    FORCE_FAIL = "queue_app.force_fail_job"
    MOVE_TICKETS = "queue_app.move_tickets"
    SEE_PROVIDER_DATA = "queue_app.view_provider_data"
    SUBMIT_RESTRICTED = "queue_app.submit_restricted_kinds"
    EXCEED_NORMAL = "queue_app.exceed_normal_priority"


SEE_USAGE = ("queue_app.view_job", "queue_app.view_ledgertransaction")  # rights that usage of all users needs
BUDGETS = tuple(f"queue_app.{verb}_ticketbudget" for verb in ("add", "change", "delete"))
VIEWER, OPERATOR, FINANCE, CATALOGUE = "Viewer", "Operator", "Finance", "Catalogue editor"
# rights besides viewing; the catalogue editor's follow from `EDITED`
RIGHTS = {
    VIEWER: (),
    OPERATOR: (
        Right.OPERATE,
        Right.FORCE_FAIL,
        Right.SEE_PROVIDER_DATA,
        Right.SUBMIT_RESTRICTED,
        Right.EXCEED_NORMAL,
        "queue_app.change_modelconcurrencylimit",
        *BUDGETS,
    ),
    FINANCE: (Right.MOVE_TICKETS, *BUDGETS),
}
EDITED: tuple[type[models.Model], ...] = (
    GenerationModel,
    ModelConcurrencyLimit,
    Kind,
    ProviderAccount,
    ModelRoute,
    QueueSettings,
    AlertRule,
)


@transaction.atomic
def seed(also: Sequence[type[models.Model]] = ()) -> int:
    """
    Add missing groups. Return how many were added.

    :param also: models of other applications that catalogue editors edit; every role may view all models of these applications.
    """
    labels = {"queue_app", *(model._meta.app_label for model in also)}
    shown = [f"view_{model._meta.model_name}" for label in labels for model in apps.get_app_config(label).get_models()]
    edited = [f"{verb}_{model._meta.model_name}" for model in (*EDITED, *also) for verb in ("add", "change")]
    added = 0
    for name, own in {**RIGHTS, CATALOGUE: edited}.items():
        group, is_new = Group.objects.get_or_create(name=name)
        if is_new:
            ours = Q(content_type__app_label__in=labels, codename__in=[*shown, *(right.rpartition(".")[2] for right in own)])
            group.permissions.set(Permission.objects.filter(ours | Q(content_type__app_label="auth", codename="view_group")))
        added += is_new
    return added
