"""People's text that turns its direction round, in a real browser: what stands beside it on any page keeps its own."""

import uuid
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from campaigns import review, sharing
from campaigns.launch import make_again
from campaigns.models import Brand, Combination, ComplianceRule, Draft
from queue_app import clock
from queue_app.models import (
    Alert,
    ApiKey,
    Attempt,
    AuditEntry,
    Batch,
    BulkAction,
    Job,
    Kind,
    ModelConcurrencyLimit,
    Notice,
    ProviderAccount,
    ReviewItem,
    State,
    User,
)
from queue_app.work import bulk, policy
from tests.campaigns.support import bring, jobs_of, make_campaign
from tests.e2e.browser import staff_tab
from tests.e2e.conftest import ana_of_staff, lay_files
from tests.factories import make_job
from tests.processes import Site

pytestmark = pytest.mark.e2e
TURN = "\u202eturned"  # an override that nobody ends: all that follows in its line would be read from right to left

# Every text with the override must be alone in what the browser lays out by itself: an isolated element, or a block.
BARE = 22  # of these pages show what people wrote only at other times
BESIDE = """() => {
    document.querySelectorAll("details").forEach((one) => { one.open = true; });
    const style = (one) => getComputedStyle(one);
    const isolates = (one) => /isolate|plaintext/.test(style(one).unicodeBidi);
    const home = (one) => { while (style(one).display === "inline" && !isolates(one)) one = one.parentElement; return one; };
    const unseen = "script, style, option, textarea, title, noscript";
    const shown = ({ data, parentElement: at }) => data.trim() && at.checkVisibility() && !at.closest(unseen);
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), lines = new Map();
    while (walker.nextNode()) if (shown(walker.currentNode)) {
        const at = home(walker.currentNode.parentElement);
        lines.set(at, [...(lines.get(at) || []), walker.currentNode.data.trim()]);
    }
    const turned = (texts) => texts.some((text) => text.includes("\\u202e"));
    const alone = (texts) => texts.length === 1 && texts[0].startsWith("\\u202e");
    const told = [...lines].filter(([at, texts]) => turned(texts));
    return [told.length, told.filter(([at, texts]) => !alone(texts) && !at.closest("bdi"))
        .map(([at, texts]) => `${at.tagName}.${at.className}#${at.id}: ${texts.join(" | ").slice(0, 160)}`)];
}"""


@pytest.fixture(scope="module")
def addresses(shared_site: Site) -> tuple[Site, list[str]]:
    """Every page that shows what people wrote; each of these texts begins with the override."""
    staff, at = ana_of_staff(shared_site), clock.now()
    with shared_site.orm():
        User.objects.filter(pk=staff.pk).update(first_name=TURN)
        fields = ("brand", "product_category", "big_idea", "visual_messaging", "audio_messaging", "name")
        campaign = make_campaign(staff, at=at, **dict.fromkeys(fields, TURN))
        jobs = jobs_of(campaign)
        for job in jobs[:3]:
            bring(job, State.COMPLETED, at=at)
        cell = Combination.objects.get(campaign=campaign, index=1)
        make_again(cell, f"{TURN} again", at=at, by=staff)
        second, third = (Combination.objects.get(campaign=campaign, index=number) for number in (2, 3))
        review.judge(second, "winner", at=at, by=staff)
        review.write_note(second, TURN, at=at, by=staff)
        review.judge(third, "approved", at=at, by=staff)
        bring(make_again(second, f"{TURN} again", at=at, by=staff)[0].job, State.COMPLETED, at=at)
        review.judge(Combination.objects.get(pk=second.pk), "winner", at=at, by=staff)
        new = sharing.NewLink(uuid.uuid4(), label=TURN, may_answer=True)
        link, token = sharing.create(campaign, new, at=at, by=staff)
        for index, verdict in ((2, "approved"), (3, "rejected")):
            sharing.answer(link, index, verdict=verdict, comment=TURN, name=TURN, at=at)
        policy.pause_batch(campaign.batch, at=at, actor=staff, reason=TURN)
        batch = Batch.objects.create(owner=staff, name=TURN, created_at=at)
        mine = [make_job(state, owner=staff, at=at, prompt=TURN, batch=batch) for state in State]
        Job.objects.filter(pk__in=[job.pk for job in mine]).update(priority_reasons=[TURN])
        Job.objects.filter(state=State.FAILED).update(error_message=TURN)
        ReviewItem.objects.update(what=TURN)
        for record in (ModelConcurrencyLimit.objects.get(pk="manim"), ProviderAccount.objects.get(pk="fal")):
            policy.change(record, at=at, actor=staff, reason=TURN, paused=True, paused_reason=TURN)
        drafts = [bulk.draft(BulkAction.Verb.CANCEL, [mine[0].pk], at=at, actor=staff, chosen=TURN) for _ in range(2)]
        bulk.confirm(drafts[1], at=at, actor=staff, reason=TURN)
        ApiKey.objects.create(staff, scopes=["read"], name=TURN)
        ComplianceRule.objects.create(name=TURN, pattern="turned", reason=TURN, instead=TURN, severity="warn")
        ComplianceRule.objects.create(name=TURN, pattern="calm", reason=TURN, instead=TURN, severity="block")
        row = {"id": TURN, "made": None, "prompt": TURN, "model": TURN, "ended": None}
        look = {"at": at.isoformat(), "sure": [], "maybe": [row], "none": False, "why_not": [TURN], "proof": {}}
        ProviderAccount.objects.update(can_look_up=True)
        Attempt.objects.update(lookups=[look | {"took": TURN}])
        Alert.objects.create(rule_id="queue_depth", value=700, words=TURN, opened_at=at)
        Notice.objects.create(user=staff, key="one", text=TURN, url="/", created_at=at)
        Draft.objects.create(owner=staff, body={"name": TURN, "brand": TURN, "big_idea": TURN}, updated_at=at)
        AuditEntry.objects.create(at=at, actor=staff, actor_name="ana", action="set model limit", target=TURN, reason=TURN)
        lay_files(shared_site)
        numbers = {"c": campaign.pk, "q": mine[0].pk, "f": Job.objects.get(state=State.FAILED, batch=batch).pk}
        numbers |= {"t": token}
        numbers |= {"x": make_campaign(staff, at=at).pk}
        numbers |= {"u": Job.objects.get(state=State.UNKNOWN).pk, "d": drafts[0].pk, "w": drafts[1].pk}
        numbers |= {"k": Kind.objects.earliest("pk").pk, "b": Brand.objects.get(name=TURN).pk, "s": staff.pk}
        numbers |= {"i": ReviewItem.objects.earliest("pk").pk, "m": Job.objects.get(state=State.COMPLETED, batch=batch).pk}
    paths = """
        / /campaigns/ /campaigns/new/ /campaigns/new/discard/ /campaigns/new/?from={c} /campaigns/{c}/ /campaigns/{c}/cells/
        /campaigns/{x}/ /campaigns/{x}/cells/
        /campaigns/{c}/cancel/ /campaigns/{c}/pause/ /campaigns/{c}/retry-failed/ /campaigns/{c}/review/
        /campaigns/{c}/review/?verdict=winner /campaigns/{c}/review/1/versions/ /campaigns/{c}/review/2/versions/
        /campaigns/{c}/review/4/versions/ /campaigns/{c}/review/1/ /campaigns/{c}/review/2/ /campaigns/{c}/review/4/
        /campaigns/{c}/review/2/compare/ /campaigns/{c}/review/2/more/ /campaigns/{c}/review/names/ /campaigns/{c}/share/
        /s/{t}/2/ /s/{t}/3/
        /jobs/{q}/ /jobs/{f}/ /jobs/{u}/ /jobs/{m}/ /jobs/{q}/cancel/ /jobs/{f}/retry/ /notices/
        /admin/ /admin/sections/ /admin/usage/ /admin/usage/?by=campaign /admin/stop/ /admin/pause/?what=model&key=sora-2
    """
    rows = """
        queue_app/job/ queue_app/job/{q}/change/ queue_app/job/{f}/change/ queue_app/job/{u}/change/ queue_app/job/{m}/change/
        queue_app/bulkaction/ queue_app/bulkaction/{d}/change/ queue_app/bulkaction/{w}/change/ queue_app/reviewitem/
        queue_app/reviewitem/{i}/change/ queue_app/batch/ queue_app/batch/{c}/change/ queue_app/alert/ queue_app/auditentry/
        queue_app/apikey/ queue_app/wallet/ queue_app/wallet/{s}/change/ queue_app/ledgertransaction/ queue_app/jobevent/
        queue_app/modelconcurrencylimit/ queue_app/provideraccount/ queue_app/attempt/ queue_app/outboxmessage/
        campaigns/campaign/ campaigns/campaign/{c}/change/ campaigns/combination/ campaigns/compliancerule/ campaigns/brand/
        campaigns/brand/{b}/change/ campaigns/brand/{b}/history/ campaigns/brand/{b}/delete/ queue_app/user/
        queue_app/user/{s}/change/
    """
    addresses = [*paths.split(), *(f"/admin/{row}" for row in rows.split())]
    return shared_site, [one.format(**numbers) for one in addresses]


@pytest.fixture
def tab(addresses: tuple[Site, list[str]]) -> Iterator[Page]:
    with staff_tab(addresses[0]) as tab:
        yield tab


def test_nothing_beside_it_is_turned_round(addresses: tuple[Site, list[str]], tab: Page) -> None:
    site, paths = addresses
    found, bare = [], []
    for path in paths:
        answer = tab.goto(f"{site.url}{path}")
        assert answer is not None and answer.status == 200, path
        seen, beside = tab.evaluate(BESIDE)
        found += [f"{path}  {one}" for one in beside]
        bare += [] if seen else [path]
    assert not found, "\n".join(found)
    assert len(bare) <= BARE, bare
