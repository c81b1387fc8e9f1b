"""Fetching a provider's suppressions: each API as documented, page by page, whatever goes wrong between two of them."""

from datetime import timedelta

import django_rq
import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry
from contacts.actions.erasure import erase
from contacts.actions.suppression import suppress
from contacts.models import Suppression
from delivery.fetching import actions, run, sources
from delivery.jobs import fetch_suppressions
from delivery.models import SuppressionFetch
from delivery.providers import PROVIDERS
from tests.builders import a_contact
from tests.delivery.test_esp_batches import an_esp_account
from tests.fake_esp.core import Answer
from tests.fake_esp.server import Plan

pytestmark = pytest.mark.django_db
GONE, ANNOYED, LEFT = "gone@example.com", "annoyed@example.com", "left@example.com"
REASONS = {GONE: "hard_bounce", ANNOYED: "complaint", LEFT: "unsubscribed"}
NO_USER = "550 5.1.1 No such user here"
AT = "2024-02-29T08:15:00-05:00"


def mailgun(gone, annoyed, left):
    return {
        "bounces": [{"address": each, "code": "550", "error": NO_USER, "created_at": AT} for each in gone],
        "complaints": [{"address": each, "created_at": AT} for each in annoyed],
        "unsubscribes": [{"address": each, "tags": ["*"], "created_at": AT} for each in left],
    }


def sendgrid(gone, annoyed, left):
    return {
        "bounces": [
            {"created": 1700000000, "email": each, "reason": NO_USER, "status": "5.1.1"} for each in gone
        ],
        "spam_reports": [{"created": 1700000000, "email": each, "ip": "192.0.2.7"} for each in annoyed],
        "unsubscribes": [{"created": 1700000000, "email": each} for each in left],
    }


def postmark(gone, annoyed, left):
    kinds = {"HardBounce": gone, "SpamComplaint": annoyed, "ManualSuppression": left}
    return {
        "broadcast": [
            {"EmailAddress": each, "SuppressionReason": kind, "Origin": "Recipient", "CreatedAt": AT}
            for kind, emails in kinds.items()
            for each in emails
        ]
    }


def amazon_ses(gone, annoyed, left):
    """It knows of nobody who left."""
    kinds = {"BOUNCE": gone, "COMPLAINT": annoyed}
    return {
        "suppressed": [
            {"EmailAddress": each, "Reason": kind, "LastUpdateTime": 1700000000.0}
            for kind, emails in kinds.items()
            for each in emails
        ]
    }


def sparkpost(gone, annoyed, left):
    kinds = {"Bounce Rule": gone, "Spam Complaint": annoyed, "List Unsubscribe": left}
    return {
        "suppression-list": [
            {"recipient": each, "type": kind, "source": source, "description": NO_USER, "created": AT}
            for source, emails in kinds.items()
            for each in emails
            for kind in ("transactional", "non_transactional")
        ]
    }


def brevo(gone, annoyed, left):
    kinds = {"hardBounce": gone, "contactFlaggedAsSpam": annoyed, "unsubscribedViaEmail": left}
    return {
        "blockedContacts": [
            {"email": each, "senderEmail": "", "reason": {"code": code, "message": "Why"}, "blockedAt": AT}
            for code, emails in kinds.items()
            for each in emails
        ]
    }


WRITTEN = {each.__name__: each for each in (amazon_ses, brevo, mailgun, postmark, sendgrid, sparkpost)}
# How many pages hold so many entries on one list; Postmark's are years.
PAGES = {"amazon_ses": 3, "brevo": 25, "mailgun": 4, "postmark": None, "sendgrid": 5, "sparkpost": 3}
MANY = 2_500


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    """The fake may be asked as often as one likes."""
    ses = sources.SOURCES["amazon_ses"]
    quick = {**sources.SOURCES, "amazon_ses": sources.Source(ses.lists, ses.read, ses.key)}
    for module in (sources, run, actions):
        monkeypatch.setattr(module, "SOURCES", quick)


@pytest.fixture
def account(workspace, fake_esp):
    """account("mailgun") is one at the fake, with the lists that are given."""

    def make(name, *, gone=(GONE,), annoyed=(ANNOYED,), left=(LEFT,)):
        fake_esp.account(name).lists.update(WRITTEN[name](gone, annoyed, left))
        named = {"sender_domain": "acme.example"} if name == "mailgun" else {}
        return an_esp_account(workspace, fake_esp, name, **named)

    return make


@pytest.fixture
def fetch(ada):
    """fetch(account) asks for it and lets a worker carry it as far as it goes."""

    def ask(account) -> SuppressionFetch:
        asked = actions.ask(account, by=ada)
        fetch_suppressions(fetch_id=asked.pk)
        asked.refresh_from_db()
        return asked

    return ask


def go_on(asked: SuppressionFetch) -> SuppressionFetch:
    """The time comes that it waits for, the clock looks, and a worker takes it up."""
    SuppressionFetch.objects.filter(pk=asked.pk).update(progress_at=timezone.now() - timedelta(minutes=2))
    assert run.requeue_silent() == 1
    fetch_suppressions(fetch_id=asked.pk)
    asked.refresh_from_db()
    return asked


def suppressed(workspace) -> dict[str, str]:
    return dict(Suppression.objects.of(workspace).values_list("email", "reason"))


@pytest.mark.parametrize("name", WRITTEN)
def test_whom_the_provider_suppresses_is_suppressed_here_for_its_reason(workspace, account, fetch, name):
    made = account(name)
    asked = fetch(made)
    expected = {each: why for each, why in REASONS.items() if (name, each) != ("amazon_ses", LEFT)}
    assert suppressed(workspace) == expected
    assert (asked.state, asked.done_count, asked.new_count) == ("done", len(expected), len(expected))
    assert asked.finished_at
    assert str(made) in Suppression.objects.get(email=GONE).note
    again = fetch(made)
    assert (again.done_count, again.new_count) == (len(expected), 0)


@pytest.mark.parametrize("name", WRITTEN)
def test_many_come_in_pages_and_each_is_asked_for_once(workspace, fake_esp, account, fetch, name):
    asked = fetch(account(name, gone=[f"g{n:04}@example.com" for n in range(MANY)], annoyed=(), left=()))
    assert (asked.state, asked.done_count, asked.new_count) == ("done", MANY, MANY)
    assert Suppression.objects.of(workspace).filter(reason="hard_bounce").count() == MANY
    looks = [(each.path, each.query) for each in fake_esp.looks]
    assert len(looks) == len(set(looks))
    if PAGES[name]:
        of_bounces = [path for path, _ in looks if "bounces" in path or name not in ("mailgun", "sendgrid")]
        assert len(of_bounces) - (name in ("brevo", "sendgrid")) == PAGES[name], (
            "where a page is full, one more look tells that it was the last"
        )


TROUBLES = {
    "429": Plan(status=429, retry_after=7),
    "500": Plan(status=500),
    "503": Plan(status=503),
    "dropped": Plan(drop="before"),
    "half an answer": Plan(answer="half"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("name", WRITTEN)
def test_it_goes_on_where_it_was_put_off(workspace, fake_esp, account, fetch, name, trouble):
    made = account(name, gone=[f"g{n:04}@example.com" for n in range(MANY)])
    fake_esp.plan(Plan(), TROUBLES[trouble])
    asked = fetch(made)
    assert asked.state == "queued"
    assert asked.error
    before, looks = asked.done_count, len(fake_esp.looks)
    assert Suppression.objects.of(workspace).count() == before, "the page before stays"
    assert not run.requeue_silent(), "not before its time"
    done = go_on(asked)
    assert (done.state, done.error) == ("done", "")
    assert done.done_count == MANY + (1 if name == "amazon_ses" else 2)
    assert Suppression.objects.of(workspace).count() == done.done_count
    first = fake_esp.looks[0]
    assert first.query not in [each.query for each in fake_esp.looks[looks:] if each.path == first.path]


def test_when_a_worker_dies_the_next_one_goes_on_and_the_first_applies_nothing_more(
    workspace, fake_esp, account, ada, monkeypatch
):
    made = account("mailgun", gone=[f"g{n:04}@example.com" for n in range(MANY)])
    asked, apply = actions.ask(made, by=ada), run._apply
    outcomes = []

    def falls_silent(held, page):
        """Before the second page of bounces; then another worker carries it to its end, and this one wakes up."""
        if held.done_count == 1_002:
            monkeypatch.setattr(run, "_apply", apply)
            SuppressionFetch.objects.update(progress_at=timezone.now() - timedelta(minutes=2))
            assert run.requeue_silent() == 1
            outcomes.append(fetch_suppressions(fetch_id=asked.pk)["outcome"])
        return apply(held, page)

    monkeypatch.setattr(run, "_apply", falls_silent)
    outcomes.append(fetch_suppressions(fetch_id=asked.pk)["outcome"])
    assert outcomes == ["done", "stopped"]
    asked.refresh_from_db()
    assert (asked.done_count, asked.new_count) == (MANY + 2, MANY + 2)
    assert AuditEntry.objects.filter(verb="suppression.added").count() == 1


def test_a_provider_that_says_when_is_left_alone_until_then(fake_esp, account, fetch):
    fake_esp.plan(Plan(status=429, retry_after=900))
    asked = fetch(account("mailgun"))
    goes_on_at = actions.standing(asked.account).goes_on_at
    assert 880 < (goes_on_at - timezone.now()).total_seconds() <= 900
    SuppressionFetch.objects.update(progress_at=timezone.now() + timedelta(seconds=700))
    assert not run.requeue_silent()


def test_one_that_asks_for_too_long_or_is_never_there_ends_it_in_its_words(fake_esp, account, fetch):
    made = account("sendgrid")
    fake_esp.plan(Plan(status=429, retry_after=9000))
    asked = fetch(made)
    assert asked.state == "failed"
    assert "too many requests" in asked.error
    fake_esp.plan(*[Plan(status=500)] * run.TRIES)
    asked = fetch(made)
    for _ in range(run.TRIES - 1):
        assert asked.state == "queued"
        asked = go_on(asked)
    assert asked.state == "failed"
    assert "Internal Server Error" in asked.error


@pytest.mark.parametrize("name", WRITTEN)
def test_a_wrong_key_ends_it_at_once_in_the_providers_words(workspace, fake_esp, account, fetch, name):
    made = account(name)
    fake_esp.account(name).key = "another"
    asked = fetch(made)
    assert asked.state == "failed"
    assert asked.error.startswith(PROVIDERS[name].label)
    assert len(fake_esp.looks) == 1
    assert not suppressed(workspace)


@pytest.mark.parametrize("name", ["amazon_ses", "mailgun", "sendgrid", "sparkpost"])
def test_a_key_that_may_send_alone_ends_it_at_once(fake_esp, account, fetch, name):
    fake_esp.account(name).may_read = False
    assert fetch(account(name)).state == "failed"


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize(
    "body",
    [
        "no JSON",
        [],
        {},
        {"items": None},
        [{"email": None, "status": []}],
        {"contacts": [[]]},
        [1],
        '"\ud800"',
    ],
)
def test_what_is_not_as_documented_ends_it_and_suppresses_nobody(
    workspace, fake_esp, account, fetch, name, body
):
    made = account(name)
    fake_esp.plan(
        Plan(says=Answer(200, body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body))
    )
    asked = fetch(made)
    if asked.state == "done":  # there is nothing in it that is wrong
        assert name == "brevo" or (name == "sendgrid" and body in ([], [{"email": None, "status": []}]))
    else:
        assert asked.state == "failed"
        assert PROVIDERS[name].label in asked.error
        assert not suppressed(workspace)


def test_a_provider_that_gives_one_page_for_ever_is_left(fake_esp, account, fetch):
    page = {
        "results": sparkpost([GONE], [], [])["suppression-list"],
        "links": [{"rel": "next", "href": "/api/v1/suppression-list?cursor=a"}],
    }
    fake_esp.plan(*[Plan(says=Answer(200, page))] * 5)
    asked = fetch(account("sparkpost"))
    assert (asked.state, asked.new_count) == ("failed", 1)
    assert "again and again" in asked.error


def test_the_next_page_is_asked_of_the_same_host_wherever_the_answer_points(fake_esp, account, fetch):
    """The fake's addresses lead to another one."""
    fetch(account("mailgun", gone=[f"g{n:04}@example.com" for n in range(1200)]))
    assert all("acme.example/" in each.path for each in fake_esp.looks)


def test_blocks_full_mailboxes_and_some_mail_alone_suppress_nobody(workspace, fake_esp, account, fetch):
    made = account("mailgun", gone=(), annoyed=(), left=())
    fake_esp.account("mailgun").lists["bounces"] = [
        {"address": "b@example.com", "code": "550", "error": "5.7.1 Blocked by Spamhaus", "created_at": AT},
        {"address": "f@example.com", "code": "552", "error": "5.2.2 Mailbox full", "created_at": AT},
        {"address": GONE, "code": "605", "error": "", "created_at": AT},
    ]
    fake_esp.account("mailgun").lists["unsubscribes"] = [
        {"address": "some@example.com", "tags": ["offers"], "created_at": AT}
    ]
    asked = fetch(made)
    assert suppressed(workspace) == {GONE: "hard_bounce"}
    assert (asked.done_count, asked.new_count, asked.left_out_count) == (4, 1, 3)


def test_sendgrids_blocks_are_never_asked_for_and_its_invalid_addresses_are_judged(
    workspace, fake_esp, account, fetch
):
    made = account("sendgrid", gone=(), annoyed=(), left=())
    fake_esp.account("sendgrid").lists.update(
        blocks=[{"created": 1, "email": "blocked@example.com", "reason": NO_USER, "status": "5.1.1"}],
        invalid_emails=[
            {"created": 1, "email": GONE, "reason": "Mail domain mentioned in email address is unknown"},
            {"created": 1, "email": "eve@example.com", "reason": "421 try again later"},
        ],
    )
    fetch(made)
    assert suppressed(workspace) == {GONE: "hard_bounce"}
    assert not any("blocks" in each.path for each in fake_esp.looks)


def test_whom_somebody_else_took_off_there_by_hand_is_so_here(workspace, fake_esp, account, fetch):
    made = account("postmark", gone=(), annoyed=(), left=(LEFT,))
    for each in fake_esp.account("postmark").lists["broadcast"]:
        each["Origin"] = "Customer"
    fetch(made)
    assert suppressed(workspace) == {LEFT: "manual"}


def test_what_is_refused_of_transactional_mail_alone_stays_there(workspace, fake_esp, account, fetch):
    made = account("sparkpost", gone=(), annoyed=())
    listed = fake_esp.account("sparkpost").lists
    listed["suppression-list"] = [
        each for each in listed["suppression-list"] if each["type"] == "transactional"
    ]
    assert fetch(made).done_count == 0
    assert not suppressed(workspace)


def test_a_weightier_reason_takes_the_place_of_a_lighter_one_and_no_other(workspace, ada, account, fetch):
    suppress(workspace, email=GONE, reason="manual", note="At the fair", by=ada)
    suppress(workspace, email=LEFT, reason="complaint")
    Suppression.objects.create(workspace=workspace, email=ANNOYED, reason="soft_bounce")
    asked = fetch(account("mailgun"))
    assert suppressed(workspace) == {GONE: "hard_bounce", ANNOYED: "complaint", LEFT: "complaint"}
    assert asked.new_count == 2
    assert Suppression.objects.get(email=GONE).note.endswith("Before: At the fair")


def test_addresses_are_written_as_contacts_have_them_and_what_is_none_is_left_out(workspace, account, fetch):
    odd = [
        "GONE@Example.COM",
        "a b@example.com",
        "",
        "x" * 300 + "@example.com",
        "nul\0@example.com",
        "no-at",
    ]
    asked = fetch(account("brevo", gone=odd, annoyed=(), left=()))
    assert suppressed(workspace) == {GONE: "hard_bounce"}
    assert (asked.state, asked.done_count, asked.left_out_count) == ("done", 6, 5)


def test_who_was_erased_does_not_come_back_by_it(workspace, ada, account, fetch):
    erase(a_contact(workspace, GONE), by=ada)
    Suppression.objects.all().delete()
    asked = fetch(account("mailgun"))
    assert GONE not in suppressed(workspace)
    assert asked.left_out_count == 1


def test_mailguns_lists_are_of_each_domain_and_without_one_nothing_can_be_asked(
    ada, workspace, fake_esp, account, fetch, sign_in
):
    fake_esp.account("mailgun").lists.update(mailgun([GONE], [], []))
    made = an_esp_account(workspace, fake_esp, "mailgun")
    answer = sign_in(ada).post(reverse("sending_fetch", args=[made.pk]))
    assert "fill in the sending domain" in answer.content.decode()
    assert not SuppressionFetch.objects.exists()
    made.sender_domains = ["one.example", "two.example"]
    made.save()
    fetch(made)
    assert {each.path.split("/")[1] for each in fake_esp.looks} == {"one.example", "two.example"}


# ---- Its page ----------------------------------------------------------------------------------------------------


def page_of(client, account, **headers) -> str:
    return client.get(reverse("sending_edit", args=[account.pk]), headers=headers).content.decode()


def test_the_page_asks_follows_and_tells(ada, workspace, fake_esp, account, sign_in):
    made, client = account("mailgun"), sign_in(ada)
    assert "Fetch the provider’s suppressions" in page_of(client, made)
    assert not SuppressionFetch.objects.exists(), "looking changes nothing"
    answer = client.post(reverse("sending_fetch", args=[made.pk]))
    assert answer.status_code == 302
    asked = SuppressionFetch.objects.get()
    part = page_of(client, made, **{"HX-Request": "true", "HX-Target": "section#fetch"})
    assert 'hx-trigger="every 2s"' in part
    assert "<html" not in part
    assert client.post(reverse("sending_fetch", args=[made.pk])).status_code == 409
    fetch_suppressions(fetch_id=asked.pk)
    told = " ".join(page_of(client, made).split())
    assert '<dt class="col-6">Entries read</dt> <dd class="col-6">3</dd>' in told
    assert 'hx-trigger="every 2s"' not in told
    verbs = list(AuditEntry.objects.order_by("pk").values_list("verb", "subject"))
    assert verbs[-2:] == [
        ("account.fetch_asked", made.name),
        ("suppression.added", f"3 addresses fetched from “{made}”"),
    ]


def test_a_worker_for_long_jobs_has_it_once_it_was_asked_for(
    ada, account, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        asked = actions.ask(account("brevo"), by=ada)
    [job] = django_rq.get_queue("bulk").jobs
    assert (job.func, job.kwargs) == (fetch_suppressions, {"fetch_id": asked.pk})


def test_one_that_is_stopped_keeps_what_came(ada, workspace, fake_esp, account, fetch, sign_in):
    fake_esp.plan(Plan(), Plan(status=503))
    asked, client = fetch(account("mailgun")), sign_in(ada)
    assert "goes on at" in page_of(client, asked.account)
    client.post(reverse("sending_fetch_cancel", args=[asked.account_id]))
    asked.refresh_from_db()
    assert asked.state == "canceled"
    assert suppressed(workspace) == {ANNOYED: "complaint"}
    assert AuditEntry.objects.filter(verb="suppression.added").exists()
    fetch_suppressions(fetch_id=asked.pk)
    assert len(fake_esp.looks) == 2
    assert client.post(reverse("sending_fetch_cancel", args=[asked.account_id])).status_code == 409


def test_a_good_test_of_a_new_account_offers_it_until_it_was_asked_for(ada, account, fetch, sign_in):
    made, client = account("mailgun"), sign_in(ada)
    assert "Fetch the provider" not in client.get(reverse("sending")).content.decode()
    part = client.post(
        reverse("sending_test", args=[made.pk]),
        headers={"HX-Request": "true", "HX-Target": f"dd#test-{made.pk}"},
    )
    assert reverse("sending_fetch", args=[made.pk]) in part.content.decode()
    assert reverse("sending_fetch", args=[made.pk]) in client.get(reverse("sending")).content.decode()
    fetch(made)
    assert reverse("sending_fetch", args=[made.pk]) not in client.get(reverse("sending")).content.decode()


@pytest.mark.parametrize("name", ["sending_fetch", "sending_fetch_cancel"])
def test_only_admins_of_the_workspace_may(bob, mallory, account, sign_in, name):
    url = reverse(name, args=[account("mailgun").pk])
    assert sign_in(bob).post(url).status_code == 403
    assert sign_in(mallory).post(url).status_code == 404
    assert sign_in(bob).get(url).status_code == 405
    assert not SuppressionFetch.objects.exists()


def test_a_provider_without_lists_offers_nothing(ada, workspace, fake_esp, sign_in):
    made, client = an_esp_account(workspace, fake_esp, "resend"), sign_in(ada)
    assert "Fetch the provider" not in page_of(client, made)
    answer = client.post(reverse("sending_fetch", args=[made.pk]))
    assert "no suppression list that Volley can read" in answer.content.decode()
