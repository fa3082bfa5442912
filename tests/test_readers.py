"""Code acts on everything that can be set in forms, in the API and in the settings (I42)."""

import re
from collections import Counter

import pytest
from django.conf import global_settings

from tests import readers

SETTINGS = ("genqueue_site/settings.py", "genqueue_site/studio/config.py")
LIBRARIES = ("AXES_", "REST_", "SPECTACULAR_", "WHITENOISE_", "KNOX_", "CONTENT_SECURITY_")
PLACES = readers.places()


@pytest.mark.parametrize("place", sorted(PLACES | readers.READERS))
def test_each_field_has_a_reader_that_exists_and_reads_it(place):
    found = list(readers.problems(place, PLACES.get(place, set()), readers.READERS.get(place, {})))

    assert found == [], "\n" + "\n".join(found)


def test_the_example_lists_every_variable_that_is_read():
    sources = " ".join((readers.ROOT / path).read_text() for path in SETTINGS)
    read = set(re.findall(r"\benv\.(?!studio|must)\w+\(\s*\"([A-Z_]+)\"", sources))
    read |= set(re.findall(r"environ(?:\.get\(|, )\"([A-Z_]+)\"", sources))
    read |= set(re.findall(r"\"([A-Z_]+_(?:KEY|TOKEN|SECRET))\"", sources))

    assert PLACES["environment"] == read


def test_no_setting_is_there_for_nothing():
    """A setting that Django and the libraries do not define is used a second time in our code, or in a library."""
    ours = set(re.findall(r"^([A-Z][A-Z_]+)\b", (readers.ROOT / SETTINGS[0]).read_text(), re.M))
    ours -= {*dir(global_settings), "Q_CLUSTER", "ROOT", "ROOT_URLCONF"} | {name for name in ours if name.startswith(LIBRARIES)}
    sources = [
        path.read_text() for name in ("queue_app", "campaigns", "genqueue_site") for path in (readers.ROOT / name).rglob("*.py")
    ]
    said = Counter(word for source in sources for word in re.findall(r"\b[A-Z][A-Z_]+\b", source))

    assert {"TIMES", "PROVIDER_KEYS", "OUTBOX_CHANNELS"} <= ours
    assert [name for name in ours if said[name] < 2] == []


def forgets(deadline):
    """Take a deadline and ignore it."""
    return "never"


class TestTheCheck:
    """The check finds planted fields without effect."""

    def problems(self, fields, readers_of_them):
        return list(readers.problems("form", fields, readers_of_them))

    def test_sees_a_field_that_nobody_reads(self):
        assert self.problems({"fair_share"}, {}) == ["form: nothing reads “fair_share”"]

    def test_sees_a_reader_that_does_not_read_it(self):
        reader = "queue_app.work.capacity:queue_limit"

        assert self.problems({"fair_share"}, {reader: "fair_share"}) == [f"form: {reader} does not read “fair_share”"]

    @pytest.mark.parametrize(
        "reader", ["queue_app.work.capacity:fair", "queue_app.work.fairness:take_turns", "campaigns.plan:Reader.x"]
    )
    def test_sees_a_reader_that_is_gone(self, reader):
        (problem,) = self.problems({"fair_share"}, {reader: "fair_share"})

        assert problem.startswith(f"form: no reader {reader}")

    def test_sees_a_field_that_is_gone(self):
        assert self.problems(set(), {"queue_app.work.capacity:queue_limit": "peak_hours"}) == ["form: there is no “peak_hours”"]

    @pytest.mark.parametrize(
        "reader",
        ["queue_app.api.serializers.requests:JobAsked", "queue_app.work.intake:Draft", "queue_app.work.intake:_Reader.job"],
    )
    def test_takes_nobody_for_a_reader_who_only_hands_it_on(self, reader):
        assert f"form: {reader} only hands values on" in self.problems({"deadline"}, {reader: "deadline"})

    def test_takes_a_docstring_or_a_parameter_for_no_reading(self):
        reader = f"{__name__}:forgets"

        assert self.problems({"deadline"}, {reader: "deadline"}) == [f"form: {reader} does not read “deadline”"]

    def test_knows_the_places(self):
        assert {"environment", "JobAsked", "CampaignAsked", "QueueSettings", "Kind", "User", "pages"} <= PLACES.keys()
        assert {"prompt", "deadline"} <= PLACES["JobAsked"]
        assert {"fair_share", "peak_time_zone"} <= PLACES["QueueSettings"]
