"""Webhooks: a provider's own call is kept and answered, whatever else comes is refused and leaves nothing behind."""

import datetime
import json
import logging
import uuid
from dataclasses import replace

import pytest
import redis
from django.urls import reverse

from accounts.queue import redis_client
from contacts.models import Subscription, Suppression
from delivery.feedback import apply, drain, stream
from delivery.hooks import calls, checks, refusals, setup, sns, strays, tracked
from delivery.hooks.entries import STREAM
from delivery.models import Delivery, Event, Incoming, Mailing, SendingAccount, Stray, Tracking
from delivery.pipeline.settle import Result, settle
from delivery.secrets import seal
from delivery.transports import names
from delivery.transports.base import Fate, Outcome
from tests.builders import a_contact, a_list, an_account
from tests.fake_esp import webhooks
from tests.fake_esp.hooks import amazon_ses
from tests.fake_esp.webhooks import Message, What, event
from tests.people import a_workspace

NOW = datetime.datetime.now(datetime.UTC)


def ago(seconds) -> datetime.datetime:
    """Of now, not of when the tests began: a signature may be some minutes old."""
    return datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=seconds)


@pytest.fixture(autouse=True)
def clean():
    client = redis_client()
    for key in client.scan_iter("volley:hook:*"):
        client.delete(key)
    client.delete("volley:in:hook")


@pytest.fixture(autouse=True)
def certificate(monkeypatch):
    """Amazon's certificate, as if it had been fetched; gives the addresses that were asked for."""
    asked = []

    def fetch(url):
        asked.append(url)
        return webhooks.new_key("amazon_ses").certificate

    sns._certificates.clear()
    monkeypatch.setattr(sns, "fetch", fetch)
    return asked


@pytest.fixture
def spring(workspace):
    """An account of every provider would send it; here it is one mailing for all."""
    return Mailing.objects.create(
        workspace=workspace,
        name="Spring",
        account=an_account(workspace),
        content={},
        total_count=1,
        accepted_count=1,
    )


@pytest.fixture
def anna(workspace, spring):
    contact = a_contact(workspace, "Anna@example.com")
    Delivery.objects.create(mailing=spring, number=5, contact=contact, email=contact.email, state="accepted")
    return contact


def an_esp(workspace, provider, key=None):
    """An account of the provider that knows what proves its calls; gives it with the key that signs them."""
    key = key or webhooks.new_key(provider)
    known, sending = dict(key.known), {}
    if provider == "amazon_ses":
        known = {setup.TOPIC: amazon_ses.TOPIC}
    elif "basic_auth" in known:
        known = {"webhook_secret": known["basic_auth"][0]}
    elif provider == "unisender_go":
        known, sending = {}, known
    return an_account(workspace, provider=provider, name=provider, hook=seal(known), secrets=sending), key


def a_message(provider, mailing, number=5, to="Anna@example.com"):
    name = names.name_of(mailing.pk, number)
    carried = json.dumps({names.KEY: name})
    return Message(
        provider,
        "4711" if provider in ("mailjet", "postal") else "m-1",
        to,
        metadata={} if provider in ("mailersend", "postal") else {names.KEY: name},
        headers={"X-Metadata": carried, "X-Mailin-custom": carried},
        tags=(names.tag_of(mailing.pk),) if provider in ("mailersend", "postal") else (),
    )


def call(client, account, post):
    return client.post(address(account), **post.as_django()).status_code


def address(account):
    return reverse("hook", args=[account.provider, account.hook_key])


def told(client, account, key, *events, **more):
    """Post the events; gives the answers' statuses."""
    made = webhooks.posts(account.provider, events, key, setup.address_of(account), **more)
    return [client.post(address(account), **post.as_django()).status_code for post in made]


def applied():
    """What workers make of it."""
    return drain.drain(STREAM)


def kept():
    return stream.waiting(STREAM) + Incoming.objects.count()


# --- Each provider's events --------------------------------------------------------------------------------

EXPECTED = {
    What.DELIVERED: "delivered",
    What.DEFERRED: None,
    What.BOUNCED: "bounced",
    What.SOFT_BOUNCED: "soft_bounced",
    What.BLOCKED: "blocked",
    What.COMPLAINED: "complained",
    What.OPENED: "opened",
    What.CLICKED: "clicked",
    What.UNSUBSCRIBED: "unsubscribed",
    What.REJECTED: "blocked",
}
# What the provider itself does not send, by its own reason; and what it cannot tell apart.
OTHERWISE = {
    ("brevo", What.REJECTED): "soft_bounced",
    ("mailjet", What.REJECTED): "soft_bounced",
    ("mailtrap", What.REJECTED): "soft_bounced",
    ("mandrill", What.REJECTED): "bounced",
    ("postmark", What.REJECTED): "bounced",
    ("sendgrid", What.REJECTED): "bounced",
    ("unisender_go", What.REJECTED): "unsubscribed",
    ("postal", What.SOFT_BOUNCED): "soft_bounced",
}
TOLD = [(provider, what) for provider in webhooks.PROVIDERS for what in webhooks.kinds(provider)]


@pytest.mark.parametrize(("provider", "what"), TOLD)
def test_each_event_is_what_it_is(client, workspace, spring, anna, provider, what):
    account, key = an_esp(workspace, provider)
    assert told(client, account, key, event(what, a_message(provider, spring))) == [200]
    applied()
    expected = OTHERWISE.get((provider, what), EXPECTED[what])
    found = list(Event.objects.values_list("kind", "mailing", "number", "contact"))
    row = Delivery.objects.get()
    if expected in (None, "delivered"):
        assert found == []
        assert row.feedback == (expected or "")
    else:
        assert found == [(expected, spring.pk, 5, anna.pk)]
    has_words = provider != "resend" and (provider, what) != ("postal", What.SOFT_BOUNCED)
    if has_words and what in webhooks.SAID and expected not in (None, "delivered"):
        said = Event.objects.get()
        assert webhooks.SAID[what][2] in said.said
        assert said.code == webhooks.SAID[what][1]
    suppressed = {"bounced": "hard_bounce", "complained": "complaint", "unsubscribed": "unsubscribed"}
    assert [each.reason for each in Suppression.objects.all()] == (
        [suppressed[expected]] if expected in suppressed else []
    )
    assert not Stray.objects.exists()
    account.refresh_from_db()
    assert bool(account.event_at) == (expected is not None)


def test_postmark_tells_of_bounces_apart_from_its_list(client, workspace, spring, anna):
    account, key = an_esp(workspace, "postmark")
    [post] = webhooks.posts("postmark", [event("unsubscribed", a_message("postmark", spring))], key)
    for reason, origin in (("HardBounce", "Recipient"), ("ManualSuppression", "Customer")):
        body = json.loads(post.body) | {"SuppressionReason": reason, "Origin": origin}
        assert call(client, account, post._replace(body=json.dumps(body).encode())) == 200
    applied()
    assert not Event.objects.exists()


def test_a_providers_opens_count_where_volley_counts_none_itself(client, workspace, spring, anna):
    account, key = an_esp(workspace, "sendgrid")
    Mailing.objects.filter(pk=spring.pk).update(frame={"tracking": {"opens": True, "clicks": False}})
    told(
        client, account, key, *(event(what, a_message("sendgrid", spring)) for what in ("opened", "clicked"))
    )
    applied()
    assert [each.kind for each in Event.objects.all()] == ["clicked"]


def test_a_provider_whose_own_tracking_was_left_on_is_noticed(client, workspace, spring, anna):
    account, key = an_esp(workspace, "sendgrid")

    def seen(*events):
        told(client, account, key, *events)
        applied()
        account.refresh_from_db()
        return account.tracking_seen_at

    Mailing.objects.filter(pk=spring.pk).update(frame={"tracking": {"opens": True, "clicks": False}})
    message = a_message("sendgrid", spring)
    assert seen(event("clicked", message), event("delivered", message)) is None, "theirs to count"
    Mailing.objects.filter(pk=spring.pk).update(progress_at=NOW - tracked.LATELY)
    assert seen(event("opened", message)) is None, "it may have been switched off since"
    Mailing.objects.filter(pk=spring.pk).update(progress_at=NOW)
    assert seen(event("opened", message)) is not None
    assert not Event.objects.filter(kind="opened").exists()


def test_nobody_notices_tracking_by_another_workspaces_mailing(client, workspace, spring, anna):
    Mailing.objects.filter(pk=spring.pk).update(frame={"tracking": {"opens": True, "clicks": True}})
    theirs, key = an_esp(a_workspace("Mallory's"), "sendgrid")
    told(client, theirs, key, event("opened", a_message("sendgrid", spring)))
    applied()
    theirs.refresh_from_db()
    assert theirs.tracking_seen_at is None
    assert not Event.objects.exists()


@pytest.mark.parametrize("rule", ["needs_consent", "is_nameless"])
def test_a_provider_watches_nobody_where_the_workspace_watches_none_by_name(
    client, workspace, spring, anna, rule
):
    account, key = an_esp(workspace, "sendgrid")
    Tracking.objects.create(workspace=workspace, **{rule: True})
    told(
        client, account, key, *(event(what, a_message("sendgrid", spring)) for what in ("opened", "clicked"))
    )
    applied()
    assert not Event.objects.exists()


def test_a_machines_opens_are_nobodys(client, workspace, spring, anna):
    account, key = an_esp(workspace, "sendgrid")
    message = a_message("sendgrid", spring)
    apple = event("opened", message, NOW, ip="17.58.0.1")
    told(client, account, key, event("opened", message, is_machine=True), apple)
    applied()
    assert [each.is_machine for each in Event.objects.all()] == [True, True]
    assert all(each.why_machine for each in Event.objects.all())
    assert Mailing.objects.get(pk=spring.pk).opened_count == 0
    assert Delivery.objects.get().opened_at is None


# --- Who calls -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", webhooks.PROVIDERS)
def test_what_another_signed_is_refused_and_leaves_nothing(client, workspace, spring, anna, provider):
    account, key = an_esp(workspace, provider)
    [post] = webhooks.posts(
        provider, [event("bounced", a_message(provider, spring))], key, setup.address_of(account)
    )
    if key.private:  # the same for all tests: spoil what it signs
        forged = post._replace(body=post.body.replace(b"nna@example", b"nnb@example"))
    else:
        other = webhooks.new_key(provider)
        [forged] = webhooks.posts(
            provider, [event("bounced", a_message(provider, spring))], other, setup.address_of(account)
        )
    bare = post._replace(headers={"Content-Type": post.headers["Content-Type"]})
    assert call(client, account, forged) == 403
    if provider not in ("mailgun", "unisender_go"):  # whose signatures stand in the body
        assert call(client, account, bare) == 403
    assert kept() == 0
    refusals.write_down()
    account.refresh_from_db()
    assert account.refused_hook_count >= 1
    assert account.refused_hook_at is not None
    assert call(client, account, post) == 200


@pytest.mark.parametrize("provider", webhooks.PROVIDERS)
def test_an_account_that_knows_no_proof_takes_nothing(client, workspace, spring, provider):
    account, key = an_esp(workspace, provider)
    SendingAccount.objects.update(hook=b"", secrets=b"")
    assert told(client, account, key, event("clicked", a_message(provider, spring))) == [403]
    assert kept() == 0


def test_a_key_of_another_account_opens_nothing(client, workspace, spring, anna):
    ours, _key = an_esp(workspace, "mailgun")
    theirs, their_key = an_esp(a_workspace("Mallory's"), "mailgun")
    assert told(client, ours, their_key, event("bounced", a_message("mailgun", spring))) == [403]
    # With their own account they say nothing about a mailing of ours.
    assert told(client, theirs, their_key, event("bounced", a_message("mailgun", spring))) == [200]
    applied()
    assert not Event.objects.exists()
    assert not Suppression.objects.exists()
    assert Stray.objects.get().workspace_id == theirs.workspace_id


@pytest.mark.parametrize(
    "path",
    ["/hooks/mailgun/{key}x/", "/hooks/brevo/{key}/", "/hooks/nothing/{key}/", "/hooks/mailgun/", "/hooks/"],
)
def test_an_address_of_nobody_is_not_found(client, workspace, path):
    account, _ = an_esp(workspace, "mailgun")
    assert client.post(path.format(key=account.hook_key), b"{}", "application/json").status_code == 404


def test_providers_may_look_whether_somebody_is_there(client, workspace):
    account, _ = an_esp(workspace, "mandrill")
    assert client.head(address(account)).status_code == 200
    assert client.get(address(account)).status_code == 200
    assert client.put(address(account)).status_code == 405
    assert client.get(address(account)[:-3] + "xy/").status_code == 404


def test_what_is_too_large_is_not_even_read(client, workspace):
    account, _ = an_esp(workspace, "mailgun")

    class Untouched:
        def read(self, *_):
            raise AssertionError("It was read.")

    environ = {
        "PATH_INFO": address(account),
        "REQUEST_METHOD": "POST",
        "CONTENT_LENGTH": str(50 * 2**20),
        "wsgi.input": Untouched(),
    }
    assert calls.take(environ).status == 413
    assert calls.take(environ | {"CONTENT_LENGTH": "many"}).status == 413
    assert kept() == 0


DEEP = b"[" * 200_000
NONSENSE = [b"", b"{", b"null", b"7", b'"x"', DEEP, b"\xff\xfe", b'{"events": 1']
UNSIGNED = [b'{"signature": []}', b'{"signature": {"token": 1}}', b'{"auth": 1}', b"[]", b"{}"]


@pytest.mark.parametrize("provider", webhooks.PROVIDERS)
def test_what_cannot_be_read_is_refused(client, workspace, provider):
    account, key = an_esp(workspace, provider)
    [real] = webhooks.posts(provider, [event("clicked", Message(provider, "1", "a@example.com"))], key)
    plain = {"Content-Type": "application/json"}
    for body in NONSENSE:
        assert call(client, account, webhooks.Post(body, real.headers | plain)) in (400, 403)
    for body in [*NONSENSE, *UNSIGNED]:
        assert call(client, account, webhooks.Post(body, plain)) in (400, 403)
    assert kept() == 0


def test_rightly_signed_nonsense_is_not_kept(client, workspace):
    from tests.fake_esp.happenings import basic_auth, hmac_hex

    account, key = an_esp(workspace, "postmark")
    headers = {"Content-Type": "application/json", **basic_auth(key)}
    assert call(client, account, webhooks.Post(b'{"RecordType": ', headers)) == 400
    account, key = an_esp(workspace, "mailersend")
    headers = {"Content-Type": "application/json", "Signature": hmac_hex(key, DEEP)}
    assert call(client, account, webhooks.Post(DEEP, headers)) in (400, 403)
    assert kept() == 0


def test_a_call_of_many_events_that_cannot_be_read_is_a_line_of_the_log(client, workspace, caplog):
    account, key = an_esp(workspace, "sparkpost")
    [post] = webhooks.posts(
        "sparkpost", [event("delivered", Message("sparkpost", "m-1", "eve@example.com"))], key
    )
    assert call(client, account, post._replace(body=b"[" + b"1," * 999 + b"1]")) == 200
    with caplog.at_level(logging.WARNING):
        applied()
    assert [each.getMessage() for each in caplog.records if "hook.unread" in each.getMessage()] == [
        f"hook.unread provider=sparkpost account={account.pk} events=1000 error=TypeError"
    ]


def test_an_event_of_a_kind_that_is_not_known_changes_nothing(client, workspace, spring, anna):
    """And is answered well: the provider would switch the webhook off else."""
    for provider, body in (
        ("postmark", {"RecordType": "Teleported", "MessageID": "1"}),
        ("brevo", {"event": "list_addition", "email": "anna@example.com"}),
        ("sparkpost", [{"msys": {}}, {"msys": {"message_event": {"type": "folded"}}}]),
        ("mailjet", [{"event": "wink", "time": 1}, {"no": "event"}, 7]),
        ("brevo", {"items": []}),
    ):
        account, key = an_esp(workspace, provider)
        [post] = webhooks.posts(provider, [event("opened", a_message(provider, spring))], key)
        assert call(client, account, post._replace(body=json.dumps(body).encode())) == 200
    applied()
    assert not Event.objects.exists()
    assert not Stray.objects.exists()
    assert kept() == 0


@pytest.mark.parametrize(
    ("provider", "spoil"),
    [
        ("sendgrid", lambda told: told[0].pop("event")),
        ("mailjet", lambda told: told.insert(0, 7)),
        ("sparkpost", lambda told: told[0].pop("msys")),
        ("mailtrap", lambda told: told["events"][0].pop("timestamp")),
        ("unisender_go", lambda told: told["events_by_user"][0]["events"][0].pop("event_data")),
    ],
)
def test_one_bad_event_of_many_takes_none_of_the_others_with_it(
    client, workspace, spring, anna, provider, spoil, monkeypatch
):
    account, key = an_esp(workspace, provider)
    at = NOW - datetime.timedelta(minutes=1)
    made = [
        event("complained", a_message(provider, spring), at + datetime.timedelta(seconds=n)) for n in range(3)
    ]
    [post] = webhooks.posts(provider, made, key)
    body = json.loads(post.body)
    spoil(body)
    monkeypatch.setattr(calls, "check", lambda *_: "")
    assert call(client, account, post._replace(body=json.dumps(body).encode())) == 200
    applied()
    assert Event.objects.count() >= 2


# --- Again, late, early ------------------------------------------------------------------------------------------


SIGN_A_TIME = ["amazon_ses", "mailersend", "mailgun", "postal", "resend", "sendgrid"]


@pytest.mark.parametrize("provider", SIGN_A_TIME)
def test_a_call_that_came_before_or_is_old_is_refused(client, workspace, spring, anna, provider):
    account, key = an_esp(workspace, provider)
    [post] = webhooks.posts(provider, [event("clicked", a_message(provider, spring))], key)
    assert call(client, account, post) == 200
    assert call(client, account, post) == 406
    for ago in (datetime.timedelta(days=1, minutes=1), -datetime.timedelta(hours=1)):
        again = event("clicked", a_message(provider, spring), NOW - ago)  # Postal signs the event's own time
        assert told(client, account, key, again, signed_at=NOW - ago) == [403]
    assert kept() == 1


def test_a_call_of_mailguns_cut_elsewhere_came_before_all_the_same(
    client, workspace, spring, anna, monkeypatch
):
    """Its signature is of time and token in a row, and of nothing that the body says."""
    monkeypatch.setattr(uuid, "uuid5", lambda *_: uuid.UUID("e0" * 16))
    account, key = an_esp(workspace, "mailgun")
    [post] = webhooks.posts("mailgun", [event("clicked", a_message("mailgun", spring))], key)
    assert call(client, account, post) == 200
    said = json.loads(post.body)
    said["signature"]["timestamp"] += "e0"
    said["signature"]["token"] = said["signature"]["token"].removeprefix("e0")
    assert call(client, account, post._replace(body=json.dumps(said).encode())) == 406
    assert kept() == 1


@pytest.mark.parametrize("provider", ["mailersend", "postal"])
def test_what_is_signed_without_its_time_is_refused(client, workspace, provider, monkeypatch):
    account, _ = an_esp(workspace, provider)
    monkeypatch.setattr(checks, "_check_anymail", lambda *_: None)
    for body in (
        {},
        {"created_at": None, "timestamp": None, "uuid": "1"},
        {"created_at": "?", "timestamp": "?", "uuid": "1"},
    ):
        sent = client.post(address(account), json.dumps(body), "application/json")
        assert sent.status_code == 403
    assert kept() == 0


@pytest.mark.parametrize("provider", sorted({*webhooks.PROVIDERS} - {*SIGN_A_TIME}))
def test_where_no_time_is_signed_the_same_call_years_later_changes_nothing(
    client, workspace, spring, anna, provider, monkeypatch
):
    account, key = an_esp(workspace, provider)
    [post] = webhooks.posts(
        provider, [event("bounced", a_message(provider, spring))], key, setup.address_of(account)
    )
    for at in (NOW, NOW + datetime.timedelta(days=1), NOW + datetime.timedelta(days=500)):
        monkeypatch.setattr(calls.time, "time", at.timestamp)
        assert call(client, account, post) == 200
        applied()
        Suppression.objects.all().delete()  # the admin lets them get mail again
    assert Event.objects.count() == 1
    assert not Suppression.objects.exists()
    assert Mailing.objects.get(pk=spring.pk).bounced_count == 1


@pytest.mark.parametrize("provider", webhooks.PROVIDERS)
def test_an_event_that_is_told_again_counts_once(client, workspace, spring, anna, provider):
    account, key = an_esp(workspace, provider)
    what = "bounced" if "bounced" in webhooks.kinds(provider) else "complained"
    bounce = event(what, a_message(provider, spring))
    for seconds in (0, 30, 60):  # signed anew each time, where that is signed
        told(client, account, key, bounce, signed_at=ago(seconds))
        applied()
    assert Event.objects.count() == 1
    assert Mailing.objects.get(pk=spring.pk).bounced_count == 1


def test_redis_being_away_the_database_keeps_it(client, workspace, spring, anna, monkeypatch):
    account, key = an_esp(workspace, "mailgun")

    class Away:
        def __getattr__(self, _):
            raise redis.ConnectionError("away")

    with monkeypatch.context() as patch:
        for module in ("delivery.feedback.stream", "delivery.hooks.replays", "delivery.hooks.refusals"):
            patch.setattr(f"{module}.redis_client", Away)
        assert told(client, account, key, event("bounced", a_message("mailgun", spring))) == [200]
        assert told(
            client, account, webhooks.new_key("mailgun"), event("opened", a_message("mailgun", spring))
        ) == [403]
    assert Incoming.objects.count() == 1
    applied()
    assert Event.objects.get().kind == "bounced"


def test_what_could_not_be_kept_may_come_again(client, workspace, spring, anna, monkeypatch):
    from django.db import OperationalError

    account, key = an_esp(workspace, "mailgun")
    [post] = webhooks.posts("mailgun", [event("clicked", a_message("mailgun", spring))], key)

    def fail(*_):
        raise OperationalError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(stream, "put", fail)
        patch.setattr(calls, "close_old_connections", lambda: None)
        assert call(client, account, post) == 503
    assert call(client, account, post) == 200


def test_what_a_process_took_with_it_may_come_again(client, workspace, spring, anna, monkeypatch):
    """Signed as before: else the provider's next try would be taken for a replay, and the event lost."""
    account, key = an_esp(workspace, "mailgun")
    [post] = webhooks.posts("mailgun", [event("clicked", a_message("mailgun", spring))], key)

    def killed(*_):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(stream, "put", killed)
        with pytest.raises(SystemExit):
            call(client, account, post)
    assert [call(client, account, post) for _ in range(2)] == [200, 406]


def test_it_may_come_before_the_message_is_settled(client, workspace, spring, anna):
    account, key = an_esp(workspace, "sendgrid")
    Delivery.objects.update(state="pending")
    told(client, account, key, event("bounced", a_message("sendgrid", spring)))
    applied()
    row = Delivery.objects.get()
    assert (row.state, row.feedback) == ("pending", "bounced")
    assert Mailing.objects.get(pk=spring.pk).bounced_count == 1


def test_who_is_in_doubt_after_an_event_came_is_not(client, workspace, spring, anna):
    """The call's answer got lost, and the webhook was faster than the time it takes to notice."""
    account, key = an_esp(workspace, "sendgrid")
    Delivery.objects.update(state="pending")
    Mailing.objects.filter(pk=spring.pk).update(accepted_count=0)
    told(client, account, key, event("delivered", a_message("sendgrid", spring)))
    applied()
    settle(spring, [Result(5, Outcome(Fate.IN_DOUBT, "in doubt"))])
    spring.refresh_from_db()
    assert Delivery.objects.get().state == "accepted"
    assert (spring.accepted_count, spring.in_doubt_count) == (1, 0)


def test_what_names_nothing_of_ours_is_kept_as_a_stray_and_the_oldest_make_room(
    client, workspace, monkeypatch
):
    account, key = an_esp(workspace, "postmark")
    at = [NOW - datetime.timedelta(hours=hour) for hour in range(4)]
    for each in at:
        told(client, account, key, event("bounced", Message("postmark", "x", "who@example.com"), each))
    applied()
    assert Stray.objects.count() == 4
    assert not Suppression.objects.exists()
    monkeypatch.setattr(strays, "MOST", 2)
    monkeypatch.setattr(strays, "_next", 0.0)
    strays.tend()
    assert min(Stray.objects.values_list("at", flat=True)) >= at[1] - datetime.timedelta(seconds=1)
    assert Stray.objects.count() == 2


def without_name(message):
    return replace(message, metadata={}, headers={}, tags=())


def test_an_event_that_has_lost_our_name_is_matched_by_the_providers_id_and_the_address(
    client, workspace, spring, anna
):
    """As SES tells of bounces where the original headers are not included."""
    account, key = an_esp(workspace, "amazon_ses")
    ben = a_contact(workspace, "ben@example.com")
    for number, contact in ((5, anna), (6, ben)):  # Mailgun and SparkPost give all of a call one id
        Delivery.objects.update_or_create(
            mailing=spring,
            number=number,
            defaults={"contact": contact, "email": contact.email, "provider_id": "<m-1@ses>"},
        )
    told(
        client,
        account,
        key,
        *(
            event("bounced", replace(without_name(a_message("amazon_ses", spring, to=to)), id=name))
            for to, name in (("ben@EXAMPLE.com", "m-1@ses"), ("anna@example.com", "m-2@ses"))
        ),
    )
    applied()
    assert list(Event.objects.values_list("number", "contact")) == [(6, ben.pk)]
    assert Mailing.objects.get(pk=spring.pk).bounced_count == 1
    assert Suppression.objects.get(email="ben@example.com").mailing_id == spring.pk
    assert Stray.objects.get().email == "anna@example.com"


def test_our_own_name_goes_before_the_providers_id(client, workspace, spring, anna):
    other = Mailing.objects.create(workspace=workspace, name="Winter", account=spring.account, content={})
    Delivery.objects.create(mailing=other, number=1, contact=anna, email=anna.email, provider_id="m-1")
    account, key = an_esp(workspace, "amazon_ses")
    told(client, account, key, event("bounced", a_message("amazon_ses", spring)))
    applied()
    assert Event.objects.get().mailing_id == spring.pk


def test_a_providers_id_finds_nothing_in_another_workspace(client, workspace, spring, anna):
    Delivery.objects.update(provider_id="m-1")
    theirs, key = an_esp(a_workspace("Mallory's"), "amazon_ses")
    message = without_name(a_message("amazon_ses", spring))
    told(client, theirs, key, *(event(what, message) for what in ("delivered", "bounced", "complained")))
    applied()
    assert not Event.objects.exists()
    assert not Suppression.objects.exists()
    assert Delivery.objects.get().feedback == ""
    assert set(Stray.objects.values_list("workspace_id", flat=True)) == {theirs.workspace_id}


def test_opens_without_our_name_are_nobodys(client, workspace, spring, anna):
    """Whether they may be counted is the mailing's to say."""
    Delivery.objects.update(provider_id="m-1")
    Tracking.objects.create(workspace=workspace, needs_consent=True)
    account, key = an_esp(workspace, "amazon_ses")
    told(client, account, key, event("opened", without_name(a_message("amazon_ses", spring))))
    applied()
    assert not Event.objects.exists()
    assert Delivery.objects.get().opened_at is None


def test_a_hard_bounce_or_complaint_of_a_contact_suppresses_whatever_message_it_was(
    client, workspace, spring, anna
):
    account, key = an_esp(workspace, "postmark")
    a_contact(workspace, "ben@example.com")
    told_of = [
        event(what, Message("postmark", f"x-{what}", to))
        for to, what in (
            ("ANNA@example.com", "complained"),
            ("ben@example.com", "soft_bounced"),
            ("nobody@example.com", "bounced"),
        )
    ]
    told(client, account, key, *told_of)
    applied()
    held = Suppression.objects.get()
    assert (held.email, held.reason, held.mailing_id) == ("anna@example.com", "complaint", None)
    assert "“postmark”" in held.note
    assert not Event.objects.exists()
    assert Stray.objects.count() == 3
    held.delete()  # they have asked for mail since, and the old complaint is told once more
    told(client, account, key, *told_of)
    applied()
    assert not Suppression.objects.exists()


def test_what_came_before_the_ledger_knew_the_providers_id_is_found_later(
    client, workspace, spring, anna, monkeypatch
):
    account, key = an_esp(workspace, "amazon_ses")
    told(client, account, key, event("delivered", without_name(a_message("amazon_ses", spring))))
    told(
        client,
        account,
        key,
        event("bounced", without_name(a_message("amazon_ses", spring, to="x@b.example"))),
    )
    applied()
    assert Stray.objects.count() == 2
    monkeypatch.setattr(strays, "_next", 0.0)
    strays.tend()
    assert Stray.objects.count() == 2
    Delivery.objects.update(provider_id="m-1")
    monkeypatch.setattr(strays, "_next", 0.0)
    strays.tend()
    assert Delivery.objects.get().feedback == "delivered"
    assert Mailing.objects.get(pk=spring.pk).delivered_count == 1
    assert Stray.objects.get().email == "x@b.example"


def test_who_unsubscribes_at_the_provider_leaves_the_list_once(client, workspace, spring, anna):
    news = a_list(workspace)
    Subscription.objects.create(
        workspace=workspace,
        contact=anna,
        list=news,
        status="subscribed",
        consent_source="Form",
        consent_at=NOW,
    )
    Mailing.objects.filter(pk=spring.pk).update(list_ids=[news.pk])
    account, key = an_esp(workspace, "sendgrid")
    leaves = event("unsubscribed", a_message("sendgrid", spring))
    told(client, account, key, leaves)
    applied()
    assert Subscription.objects.get().status == "unsubscribed"
    assert Mailing.objects.get(pk=spring.pk).unsubscribed_count == 1
    Subscription.objects.update(status="subscribed")
    told(client, account, key, leaves, signed_at=ago(9))
    applied()
    assert Subscription.objects.get().status == "subscribed"


def test_no_secret_is_ever_logged(client, workspace, spring, anna, caplog):
    caplog.set_level(logging.DEBUG)
    for provider in webhooks.PROVIDERS:
        account, key = an_esp(workspace, provider)
        told(client, account, key, event("bounced", a_message(provider, spring)))
        told(client, account, webhooks.new_key(provider), event("bounced", a_message(provider, spring)))
        secret = key.secret.rpartition(":")[2]
        assert not secret or secret not in caplog.text
        assert account.hook_key not in caplog.text.replace(address(account), "")
    applied()


# --- Amazon -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1", "2"])
def test_both_of_amazons_signatures_are_good(client, workspace, spring, anna, version, certificate):
    account, key = an_esp(workspace, "amazon_ses")
    post = amazon_ses.posts(
        [event("bounced", a_message("amazon_ses", spring))], key, "", NOW, version=version
    )[0]
    assert call(client, account, post) == 200
    assert certificate == [amazon_ses.CERTIFICATE_URL]


@pytest.mark.parametrize(
    "url",
    [
        "https://sns.eu-west-1.amazonaws.com.evil.example/SimpleNotificationService-fake.pem",
        "http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-fake.pem",
        "https://evil.example/SimpleNotificationService-fake.pem",
        "https://sns.eu-west-1.amazonaws.com@evil.example/SimpleNotificationService-fake.pem",
        "https://sns.eu-west-1.amazonaws.com/../SimpleNotificationService-fake.pem",
        "https://sns.eu-west-1.amazonaws.com/other.pem",
        "https://169.254.169.254/SimpleNotificationService-fake.pem",
        "",
    ],
)
def test_a_certificate_is_fetched_from_amazon_alone(client, workspace, spring, url, certificate):
    account, key = an_esp(workspace, "amazon_ses")
    [post] = amazon_ses.posts(
        [event("bounced", a_message("amazon_ses", spring))], key, "", NOW, certificate_url=url
    )
    assert call(client, account, post) == 403
    assert certificate == []


def test_a_certificate_that_cannot_be_fetched_just_now_loses_nothing(
    client, workspace, spring, anna, monkeypatch, certificate
):
    account, key = an_esp(workspace, "amazon_ses")
    [post] = amazon_ses.posts([event("bounced", a_message("amazon_ses", spring))], key, "", NOW)

    def fail(_url):
        raise sns.requests.ConnectTimeout("late")

    with monkeypatch.context() as patch:
        patch.setattr(sns, "fetch", fail)
        assert call(client, account, post) == 503
    assert call(client, account, post) == 200


def test_a_topic_that_nobody_has_confirmed_says_nothing(client, workspace, spring, certificate):
    account, key = an_esp(workspace, "amazon_ses")
    other = "arn:aws:sns:eu-west-1:666666666666:evil"
    [post] = amazon_ses.posts([event("bounced", a_message("amazon_ses", spring))], key, "", NOW, topic=other)
    assert call(client, account, post) == 403
    assert certificate == []  # not even looked at
    assert kept() == 0


def test_what_confirms_a_subscription_is_amazons_word_and_the_admins(alice, workspace, client, monkeypatch):
    account, key = an_esp(workspace, "amazon_ses")
    SendingAccount.objects.update(hook=b"")
    visited = []

    class Answer:
        status_code = 200

    monkeypatch.setattr(sns.requests, "get", lambda url, **more: visited.append((url, more)) or Answer())
    post = amazon_ses.confirmation(key, NOW, subscribe_url="https://evil.example/")
    assert call(client, account, post) == 200
    assert kept() == 0
    assert visited == []
    client.force_login(alice)
    page = client.get(reverse("sending_edit", args=[account.pk])).content.decode()
    assert amazon_ses.TOPIC in page
    confirm = reverse("sending_hook_confirm", args=[account.pk])
    client.post(confirm, {"topic": "arn:aws:sns:eu-west-1:666666666666:evil"})
    assert visited == []
    client.post(confirm, {"topic": amazon_ses.TOPIC})
    [(url, more)] = visited
    assert url == "https://sns.eu-west-1.amazonaws.com/"
    assert more["allow_redirects"] is False
    assert more["params"]["TopicArn"] == amazon_ses.TOPIC
    account.refresh_from_db()
    assert setup.known_of(account) == {setup.TOPIC: amazon_ses.TOPIC}


def test_one_stray_that_cannot_be_written_holds_up_no_other(client, workspace, spring, anna, monkeypatch):
    account, key = an_esp(workspace, "amazon_ses")
    told(client, account, key, event("delivered", without_name(a_message("amazon_ses", spring))))
    applied()
    good = Stray.objects.get()
    Stray.objects.bulk_create(
        Stray(
            workspace=workspace, account_id=account.pk, kind="delivered", at=good.at, key=uuid.uuid4(),
            email=good.email, message_id=good.message_id, code=code,
        )
        for code in ("unfit", "")
    )  # fmt: skip
    Delivery.objects.update(provider_id="m-1")
    real = apply.apply

    def unfit(facts):
        if any(each.code == "unfit" for each in facts):
            raise ValueError("no")
        return real(facts)

    monkeypatch.setattr(apply, "apply", unfit)
    strays.find()
    assert Delivery.objects.get().feedback == "delivered"
    assert not Stray.objects.exists()
