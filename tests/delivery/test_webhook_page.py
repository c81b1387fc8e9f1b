"""What comes back, on an account's page: how the provider is told, and what it has told."""

import datetime

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry
from delivery import accounts
from delivery.accounts import Values
from delivery.feedback.facts import key_of
from delivery.hooks import setup
from delivery.models import Mailing, SendingAccount, Stray
from tests.builders import an_account
from tests.fake_esp import webhooks

NOW = timezone.now()


@pytest.fixture
def page(client, alice):
    client.force_login(alice)

    def look(account):
        return client.get(reverse("sending_edit", args=[account.pk])).content.decode()

    return look


def a_new(workspace, provider, by):
    values = Values("Ours", {}, {}, {"lanes": 2})
    return accounts.create(workspace=workspace, provider=provider, values=values, by=by)


@pytest.mark.parametrize(
    "provider", [name for name, each in setup.SETUPS.items() if each.proof == "password"]
)
def test_a_password_is_there_from_the_beginning(page, workspace, alice, provider):
    account = a_new(workspace, provider, alice)
    user, _, password = setup.proof_of(account).partition(":")
    assert (user, len(password) >= 20) == ("volley", True)
    shown = page(account)
    if setup.SETUPS[provider].in_address:
        assert f"http://volley:{password}@" in shown
    assert password in shown
    assert "Every call is refused" not in shown


@pytest.mark.parametrize("provider", [name for name, each in setup.SETUPS.items() if each.proof == "key"])
def test_a_key_is_pasted_and_never_shown_again(page, client, workspace, provider):
    account = an_account(workspace, provider=provider)
    assert "Every call is refused" in page(account)
    argument = setup.SETUPS[provider].argument
    key = webhooks.new_key(provider).known[argument]
    typed = (
        f"-----BEGIN PUBLIC KEY-----\n{key}\n-----END PUBLIC KEY-----"
        if provider == "sendgrid"
        else f" {key} "
    )
    answer = client.post(reverse("sending_hook_key", args=[account.pk]), {"key": typed})
    assert answer.status_code == 302
    account.refresh_from_db()
    assert setup.proof_of(account) == key
    shown = page(account)
    assert "Every call is refused" not in shown
    assert key not in shown
    assert key.encode() not in bytes(account.hook)
    assert AuditEntry.objects.filter(verb="account.hook_changed").count() == 1


@pytest.mark.parametrize("provider", ["sendgrid", "postal", "resend"])
def test_what_is_no_key_is_said(client, alice, workspace, provider):
    client.force_login(alice)
    account = an_account(workspace, provider=provider)
    for typed in ("hello", "whsec_%%%", ""):
        answer = client.post(reverse("sending_hook_key", args=[account.pk]), {"key": typed})
        assert answer.status_code == 422
    account.refresh_from_db()
    assert setup.proof_of(account) == ""


def test_the_key_of_the_webhook_is_no_part_of_what_is_sent_with(page, client, workspace, alice):
    """Saving the account's settings keeps the webhook's key."""
    account = an_account(workspace, provider="mailgun", secrets={"api_key": "k"})
    client.force_login(alice)
    client.post(reverse("sending_hook_key", args=[account.pk]), {"key": "signing"})
    account.refresh_from_db()
    assert accounts.stored_secrets(account) == {"api_key": "k"}
    accounts.update(account, values=Values("New", {}, {}, {}), by=alice)
    account.refresh_from_db()
    assert setup.proof_of(account) == "signing"


def test_a_new_address_leaves_the_old_one_dead(page, client, workspace, alice):
    account = a_new(workspace, "brevo", alice)
    before = reverse("hook", args=["brevo", account.hook_key])
    proof = setup.proof_of(account)
    client.force_login(alice)
    client.post(reverse("sending_hook_renew", args=[account.pk]))
    account.refresh_from_db()
    assert client.head(before).status_code == 404
    assert client.head(reverse("hook", args=["brevo", account.hook_key])).status_code == 200
    assert setup.proof_of(account) != proof


def test_a_key_of_the_provider_outlives_a_new_address(client, workspace, alice):
    account = an_account(workspace, provider="mailgun")
    client.force_login(alice)
    client.post(reverse("sending_hook_key", args=[account.pk]), {"key": "signing"})
    client.post(reverse("sending_hook_renew", args=[account.pk]))
    account.refresh_from_db()
    assert setup.proof_of(account) == "signing"


def test_silence_after_sending_is_said(page, workspace, alice):
    account = a_new(workspace, "brevo", alice)
    words = "nothing has come back"
    assert words not in page(account)
    sent = Mailing.objects.create(
        workspace=workspace,
        name="Spring",
        account=account,
        content={},
        accepted_count=9,
        progress_at=NOW - datetime.timedelta(minutes=20),
    )
    assert words not in page(account)
    Mailing.objects.filter(pk=sent.pk).update(progress_at=NOW - datetime.timedelta(hours=3))
    assert words in page(account)
    SendingAccount.objects.filter(pk=account.pk).update(event_at=NOW - datetime.timedelta(hours=2))
    assert words not in page(account)


def test_tracking_that_was_left_on_is_said_until_it_is_long_ago(page, workspace, alice):
    account = a_new(workspace, "brevo", alice)
    words = "Brevo tracks opens or clicks by itself"
    assert words not in page(account)
    for days, is_said in ((1, True), (15, False)):
        seen_at = NOW - datetime.timedelta(days=days)
        SendingAccount.objects.filter(pk=account.pk).update(tracking_seen_at=seen_at)
        assert (words in page(account)) is is_said


def test_what_names_no_message_is_listed_the_newest_first_and_no_other_accounts(page, workspace, alice):
    account, other = a_new(workspace, "brevo", alice), a_new(workspace, "mailjet", alice)
    for n in range(25):
        at = NOW - datetime.timedelta(hours=n)
        for owner, name in ((account, "who"), (other, "else")):
            Stray.objects.create(
                workspace=workspace,
                account=owner,
                kind="bounced",
                at=at,
                key=key_of(at, owner.pk, n),
                email=f"{name}{n}@example.com",
            )
    shown = page(account)
    assert "25 that name no message of yours" in shown
    assert "who0@example.com" in shown
    assert "who19@example.com" in shown
    assert "who20@example.com" not in shown
    assert "else0@example.com" not in shown


def test_a_test_bounce_goes_where_the_provider_lets_it_bounce(client, workspace, alice, monkeypatch):
    sent = []

    class Connection:
        def send(self, message):
            sent.append(message)
            from delivery.transports.base import Fate, Outcome

            return Outcome(Fate.ACCEPTED)

        def close(self):
            pass

    monkeypatch.setattr(accounts, "connect", lambda _: Connection())
    client.force_login(alice)
    account = a_new(workspace, "amazon_ses", alice)
    client.post(reverse("sending_hook_bounce", args=[account.pk]))
    assert [message.to for message in sent] == ["bounce@simulator.amazonses.com"]
    brevo = a_new(workspace, "brevo", alice)
    assert client.post(reverse("sending_hook_bounce", args=[brevo.pk])).status_code == 404


def test_a_provider_that_tells_nothing_says_so(page, workspace):
    account = an_account(workspace, provider="scaleway")
    assert "has no webhook that Volley can read" in page(account)
    assert "What comes back" not in page(an_account(workspace, name="Mail"))
