"""The roles of staff: groups that are seeded once and belong to staff from then on."""

import pytest
from django.contrib.auth.models import Group, Permission

from campaigns.models import Brand
from queue_app.work import roles

pytestmark = pytest.mark.django_db


def rights(role: str) -> set[str]:
    return set(Group.objects.get(name=role).permissions.values_list("codename", flat=True))


@pytest.fixture(autouse=True)
def seeded() -> None:
    Group.objects.all().delete()
    roles.seed(also=(Brand,))


class TestSeed:
    def test_makes_four_roles_once(self) -> None:
        assert set(Group.objects.values_list("name", flat=True)) == {"Viewer", "Operator", "Finance", "Catalogue editor"}
        assert roles.seed(also=(Brand,)) == 0

    def test_lets_all_of_them_look_and_each_do_its_own(self) -> None:
        looks = rights(roles.VIEWER)
        assert all(name.startswith("view_") for name in looks)
        assert {"view_job", "view_ledgerentry", "view_auditentry", "view_brand", "view_group"} <= looks
        assert "view_provider_data" not in looks
        budgets = {"add_ticketbudget", "change_ticketbudget", "delete_ticketbudget"}
        assert rights(roles.OPERATOR) - looks - budgets == {
            "operate_queue",
            "force_fail_job",
            "view_provider_data",
            "submit_restricted_kinds",
            "exceed_normal_priority",
            "change_modelconcurrencylimit",
        }
        assert rights(roles.FINANCE) - looks == {"move_tickets", *budgets} <= rights(roles.OPERATOR) | {"move_tickets"}
        edits = rights(roles.CATALOGUE) - looks
        assert {"change_generationmodel", "add_kind", "change_alertrule", "change_brand"} <= edits
        assert all(name.startswith(("add_", "change_")) for name in edits)

    def test_leaves_a_role_as_staff_made_it(self) -> None:
        group = Group.objects.get(name=roles.VIEWER)
        group.permissions.remove(Permission.objects.get(codename="view_ledgerentry"))
        group.permissions.add(Permission.objects.get(codename="operate_queue"))
        before = rights(roles.VIEWER)
        roles.seed(also=(Brand,))
        assert rights(roles.VIEWER) == before

    def test_makes_a_role_anew_that_was_renamed_and_keeps_the_renamed_one(self) -> None:
        Group.objects.filter(name=roles.FINANCE).update(name="Accounting")
        assert roles.seed(also=(Brand,)) == 1
        assert rights(roles.FINANCE) == rights("Accounting")
