"""Sending accounts: made, tested, changed, set aside; secrets never come back, and only admins see them."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from delivery.accounts import give_inbox, set_aside
from delivery.models import Mailing, SendingAccount
from delivery.providers import PROVIDERS
from delivery.secrets import unseal
from tests.builders import an_account
from tests.delivery.servers import a_free_port, a_talker, an_esp

SMTP = {
    "name": "Post office",
    "host": "smtp.acme.example",
    "port": "587",
    "security": "starttls",
    "user": "acme",
    "password": "hush hush",
    "rate_per_second": "12.5",
    "lanes": "3",
    "test_from": "",
}
POSTAL = {"name": "Postal", "api_url": "https://post.acme.example/api/v1", "api_key": "k-1", "lanes": "4"}


def typed_for(provider) -> dict[str, str]:
    """Something valid in every field of a provider."""
    kinds = {"host": "smtp.acme.example", "port": "587", "url": "https://esp.acme.example/", "boolean": "on"}
    kinds["return_path"] = "bounces.acme.example"
    typed = {
        field.name: kinds.get(field.kind) or str(field.initial or f"a-{field.name}")
        for field in provider.fields
    }
    return {"name": provider.label, "lanes": "4", **typed}


def new(provider: str) -> str:
    return reverse("sending_new") + f"?provider={provider}"


def test_what_waits_for_an_account_goes_on_once_the_account_is_changed(ada, workspace, sign_in):
    """As after a day's limit was raised that a campaign had used up."""
    client = sign_in(ada)
    client.post(new("smtp"), {**SMTP, "rate_per_day": "300"})
    account = SendingAccount.objects.get(workspace=workspace)
    later = timezone.now() + timedelta(minutes=5)
    of_it = {"workspace": workspace, "account": account, "content": {}, "state": "sending", "due_at": later}
    waiting = Mailing.objects.create(name="Spring", **of_it)
    client.post(reverse("sending_edit", args=[account.pk]), {**SMTP, "password": "", "rate_per_day": "3000"})
    waiting.refresh_from_db()
    assert waiting.due_at <= timezone.now()


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)
def test_an_account_of_every_provider_can_be_made_and_changed(ada, workspace, sign_in, provider):
    client = sign_in(ada)
    assert client.get(new(provider.name)).status_code == 200
    assert client.post(new(provider.name), typed_for(provider)).status_code == 302
    account = SendingAccount.objects.get(workspace=workspace)
    assert account.provider == provider.name
    assert set(unseal(account.secrets)) == {field.name for field in provider.fields if field.secret}
    page = client.get(reverse("sending_edit", args=[account.pk]))
    for secret in unseal(account.secrets).values():
        assert secret not in page.content.decode()
    kept = {name: value for name, value in typed_for(provider).items() if name not in unseal(account.secrets)}
    assert (
        client.post(reverse("sending_edit", args=[account.pk]), {**kept, "name": "Renamed"}).status_code
        == 302
    )
    changed = SendingAccount.objects.get()
    assert changed.name == "Renamed"
    assert unseal(changed.secrets) == unseal(account.secrets)
    assert changed.updated_at > account.updated_at, "lanes notice"
    assert "Renamed" in client.get(reverse("sending")).content.decode()


def test_an_smtp_account_keeps_what_was_typed(ada, workspace, sign_in):
    sign_in(ada).post(new("smtp"), SMTP)
    account = SendingAccount.objects.get()
    assert (account.rate_per_second, account.lanes, account.is_default) == (12.5, 3, True)
    assert account.settings == {
        "host": "smtp.acme.example", "security": "starttls", "port": 587, "user": "acme",
        "return_path": "", "test_from": "",
    }  # fmt: skip
    assert unseal(account.secrets) == {"password": "hush hush"}
    assert b"hush" not in bytes(account.secrets)


def test_the_domains_that_an_account_may_send_from_are_kept_and_shown(ada, sign_in):
    client = sign_in(ada)
    client.post(new("smtp"), {**SMTP, "sender_domains": "Acme.example; news@bränd.net acme.example"})
    account = SendingAccount.objects.get()
    assert account.sender_domains == ["acme.example", "xn--brnd-moa.net"]
    assert not account.refusal_of("eve@ACME.example")
    assert not account.refusal_of("eve@bränd.net")
    assert account.refusal_of("eve@mail.acme.example")
    assert "acme.example, xn--brnd-moa.net alone" in client.get(reverse("sending")).content.decode()
    page = client.get(reverse("sending_edit", args=[account.pk])).content.decode()
    assert 'value="acme.example, xn--brnd-moa.net"' in page


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", "", "required"),
        ("host", "https://smtp.acme.example/", "host name alone"),
        ("host", "169.254.169.254", "metadata"),
        ("port", "70000", "65535"),
        ("port", "smtp", "whole number"),
        ("security", "magic", "valid choice"),
        ("lanes", "65", "64"),
        ("lanes", "0", "1"),
        ("host", "mail..acme.example", "host name alone"),
        ("rate_per_day", "0", "1"),
        ("rate_per_hour", "0", "1"),
        ("warm_up", "50, many", "whole numbers"),
        ("warm_up", ",".join(["1"] * 61), "at most 60 days"),
        ("domain_lanes", "-1", "1"),
        ("rate_per_second", "-1", "0.01"),
        ("rate_per_second", "nan", "number"),
        ("password", "", "password of this user name"),
        ("password", "päss", "ASCII"),
        ("user", "a\0b", "Null"),
        ("test_from", "me", "valid email"),
        ("sender_domains", "acme.example, news@", "“news@” is no domain"),
    ],
)
def test_bad_input_is_said_beside_its_field_and_keeps_what_was_typed(ada, sign_in, field, value, words):
    answer = sign_in(ada).post(new("smtp"), {**SMTP, "user": "acme-user", field: value})
    assert answer.status_code == 422
    assert any(words in str(error) for error in answer.context["form"].errors[field])
    page = answer.content.decode()
    assert field == "user" or "acme-user" in page
    assert "hush hush" not in page
    assert not SendingAccount.objects.exists()


def test_an_esp_without_its_key_is_refused(ada, sign_in):
    answer = sign_in(ada).post(
        new("postmark"), {"name": "Postmark", "lanes": "4", "message_stream": "broadcast"}
    )
    assert answer.status_code == 422
    assert "server_token" in answer.context["form"].errors


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/", "https://x@169.254.169.254:80/a", "ftp://acme.example/", "x y"]
)
def test_an_api_address_must_be_a_web_address_and_no_metadata_service(ada, sign_in, url):
    answer = sign_in(ada).post(new("postal"), {**POSTAL, "api_url": url})
    assert answer.status_code == 422
    assert "api_url" in answer.context["form"].errors


def test_a_stored_secret_is_asked_for_again_when_it_would_go_to_another_server(ada, workspace, sign_in):
    client = sign_in(ada)
    client.post(new("smtp"), SMTP)
    account = SendingAccount.objects.get()
    elsewhere = {**SMTP, "host": "smtp.mallory.example", "password": ""}
    answer = client.post(reverse("sending_edit", args=[account.pk]), elsewhere)
    assert answer.status_code == 422
    assert "password" in answer.context["form"].errors
    without = {**elsewhere, "user": ""}
    assert client.post(reverse("sending_edit", args=[account.pk]), without).status_code == 302
    assert unseal(SendingAccount.objects.get().secrets) == {}, "no user name, no password kept"


def test_secrets_under_a_lost_key_can_be_typed_again(ada, workspace, sign_in, settings):
    account = an_account(workspace, provider="postmark", secrets={"server_token": "t"})
    settings.SECRET_KEY_FALLBACKS = []
    SendingAccount.objects.update(secrets=b"gAAAAAnonsense")
    client, url = sign_in(ada), reverse("sending_edit", args=[account.pk])
    typed = {"name": "Postmark", "lanes": "4", "message_stream": "broadcast"}
    assert client.get(url).status_code == 200
    assert client.post(url, typed).status_code == 422
    assert client.post(url, {**typed, "server_token": "new"}).status_code == 302
    assert unseal(SendingAccount.objects.get().secrets) == {"server_token": "new"}


def test_the_list_shows_where_mail_goes_and_who_is_set_aside(ada, workspace, sign_in):
    an_account(
        workspace,
        name="Office",
        settings={"host": "smtp.acme.example", "port": 465, "security": "tls", "user": "u"},
    )
    an_account(workspace, name="Old", provider="mailgun", stopped_reason="401 Forbidden", is_default=True)
    page = sign_in(ada).get(reverse("sending")).content.decode()
    assert "smtp.acme.example:465, TLS, u" in page
    assert "401 Forbidden" in page
    assert "Default" in page


def test_the_page_costs_the_same_for_three_and_for_thirty(
    ada, workspace, sign_in, django_assert_max_num_queries
):
    client = sign_in(ada)
    for number in range(30):
        an_account(workspace, name=f"Account {number}")
    with django_assert_max_num_queries(5):  # session, person, memberships, accounts, one to spare
        client.get(reverse("sending"))


def test_how_an_esp_sends_is_said_before_and_after_it_is_chosen(ada, workspace, sign_in):
    client = sign_in(ada)
    assert "Up to 1,000 recipients a call" in client.get(new("mailgun")).content.decode()
    assert (
        "repeated under the same key, which sends nothing twice" in client.get(new("brevo")).content.decode()
    )
    assert "a call" not in client.get(new("smtp")).content.decode()
    an_account(workspace, provider="brevo")
    assert "Up to 1,000 finished messages a call" in client.get(reverse("sending")).content.decode()


def test_an_empty_page_leads_to_the_first_account(ada, sign_in):
    assert "Add an account" in sign_in(ada).get(reverse("sending")).content.decode()


def test_the_local_inbox_is_offered_only_where_it_runs(ada, sign_in, settings):
    client = sign_in(ada)
    assert "Local inbox" in client.get(reverse("sending_new")).content.decode().split("<main")[1]
    settings.INBOX = False
    assert "Local inbox" not in client.get(reverse("sending_new")).content.decode().split("<main")[1]


def test_there_is_exactly_one_default_and_it_passes_on(ada, workspace, sign_in):
    client = sign_in(ada)
    client.post(new("smtp"), SMTP)
    client.post(new("smtp"), {**SMTP, "name": "Second"})
    first, second = SendingAccount.objects.order_by("pk")
    assert (first.is_default, second.is_default) == (True, False)
    client.post(reverse("sending_default", args=[second.pk]))
    assert SendingAccount.objects.get(is_default=True) == second
    client.post(reverse("sending_delete", args=[second.pk]))
    assert SendingAccount.objects.get() == SendingAccount.objects.get(is_default=True) == first


def test_an_account_that_has_sent_is_not_deleted_but_set_aside(ada, workspace, sign_in):
    client, account = sign_in(ada), an_account(workspace)
    Mailing.objects.create(workspace=workspace, name="Spring", account=account, content={})
    assert "cannot be deleted" in client.get(reverse("sending_edit", args=[account.pk])).content.decode()
    answer = client.post(reverse("sending_delete", args=[account.pk]))
    assert answer.status_code == 409
    assert "Set it aside instead" in answer.content.decode()
    client.post(reverse("sending_set_aside", args=[account.pk]))
    assert SendingAccount.objects.get().stopped_reason == "Set aside by Ada."
    client.post(reverse("sending_use", args=[account.pk]))
    assert SendingAccount.objects.get().stopped_reason == ""


@pytest.mark.parametrize("name", ["sending", "sending_new"])
def test_only_admins_see_the_accounts(bob, carol, sign_in, client, name):
    assert sign_in(bob).get(reverse(name)).status_code == 403
    assert sign_in(carol).get(reverse(name)).status_code == 403
    assert client.get(reverse(name)).status_code == 302


VERBS = [
    "sending_edit",
    "sending_delete",
    "sending_test",
    "sending_default",
    "sending_use",
    "sending_set_aside",
]


@pytest.mark.parametrize("name", VERBS)
def test_an_account_is_for_admins_of_its_workspace(bob, mallory, workspace, sign_in, name):
    url = reverse(name, args=[an_account(workspace).pk])
    assert sign_in(bob).post(url).status_code == 403
    assert sign_in(mallory).post(url).status_code == 404
    assert SendingAccount.objects.get(workspace=workspace)


@pytest.mark.parametrize("name", VERBS[1:])
def test_a_get_does_nothing(ada, workspace, sign_in, name):
    assert sign_in(ada).get(reverse(name, args=[an_account(workspace).pk])).status_code == 405


def the_answer(client, account) -> str:
    """What the page says after the button, as htmx puts it in its place."""
    url = reverse("sending_test", args=[account.pk])
    answer = client.post(url, headers={"HX-Request": "true", "HX-Target": f"dd#test-{account.pk}"})
    assert answer.status_code == 200
    assert answer.content.decode().lstrip().startswith(("<span", "Not"))
    return answer.content.decode()


# what the server says, security, and the words to be shown
TROUBLES = [
    (
        [b"220 hi", b"250-hi\r\n250 AUTH PLAIN", b"535 5.7.8 Bad credentials"],
        "none",
        "535 5.7.8 Bad credentials",
    ),
    ([b"220 hi", b"250 hi"], "starttls", "STARTTLS"),
    ([b"220 hi", b"250 STARTTLS", b"220 go", b"this is no TLS"], "starttls", "TLS"),
    ([b"554 5.7.1 You are blocked"], "none", "554 5.7.1 You are blocked"),
    ([b"HTTP/1.1 400 Bad Request"], "none", ""),
    ([b"220 hi"], "tls", "TLS"),
]


@pytest.mark.parametrize(("lines", "security", "words"), TROUBLES)
def test_a_test_says_in_words_what_is_wrong_and_changes_nothing_else(
    ada, workspace, sign_in, lines, security, words
):
    with a_talker(*lines) as port:
        values = {"host": "127.0.0.1", "port": port, "security": security, "user": "acme"}
        account = an_account(workspace, settings=values, secrets={"password": "wrong"})
        page = the_answer(sign_in(ada), account)
    assert "Failed" in page
    after = SendingAccount.objects.get()
    assert words in after.test_said
    assert after.test_said
    assert after.tested_at
    assert (after.stopped_reason, after.updated_at) == ("", account.updated_at)


def test_after_a_change_of_where_it_leads_the_last_test_says_nothing(ada, workspace, sign_in):
    client = sign_in(ada)
    client.post(new("smtp"), SMTP)
    account = SendingAccount.objects.get()
    for typed, is_tested in (
        ({"name": "Renamed"}, True),
        ({"host": "smtp2.acme.example", "password": "new"}, False),
    ):
        SendingAccount.objects.update(tested_at=timezone.now())
        client.post(reverse("sending_edit", args=[account.pk]), {**SMTP, "password": "", **typed})
        assert (SendingAccount.objects.get().tested_at is not None) is is_tested, typed


def test_a_closed_port_and_an_unknown_host_are_said_so(ada, workspace, sign_in):
    closed = an_account(workspace, settings={"host": "127.0.0.1", "port": a_free_port(), "security": "none"})
    assert "nothing listens there" in the_answer(sign_in(ada), closed)
    unknown = an_account(workspace, settings={"host": "no.such.host.invalid", "port": 25, "security": "none"})
    assert "not known" in the_answer(sign_in(ada), unknown)


def test_the_metadata_address_is_refused_when_testing_too(ada, workspace, sign_in):
    account = an_account(workspace, settings={"host": "169.254.169.254", "port": 80, "security": "none"})
    assert "metadata" in the_answer(sign_in(ada), account)


def test_a_good_test_of_an_esp_sends_to_the_person_from_the_chosen_sender(ada, workspace, sign_in):
    with an_esp() as esp:
        esp.answer(200, {"id": "re-1"})
        account = an_account(
            workspace,
            provider="resend",
            settings={"api_url": esp.url, "test_from": "news@acme.example"},
            secrets={"api_key": "re_1"},
            test_said="was wrong before",
        )
        page = the_answer(sign_in(ada), account)
    assert "Accepted" in page
    assert ada.email in page
    assert ada.email.encode() in esp.requests[0]["body"]
    assert b"news@acme.example" in esp.requests[0]["body"]
    assert SendingAccount.objects.get().test_said == ""


def test_without_htmx_the_answer_stands_on_the_page(ada, workspace, sign_in):
    account = an_account(workspace, settings={"host": "127.0.0.1", "port": a_free_port(), "security": "none"})
    answer = sign_in(ada).post(reverse("sending_test", args=[account.pk]), follow=True)
    assert "nothing listens there" in answer.content.decode()


def test_a_new_workspace_begins_with_the_local_inbox(workspace, settings):
    from accounts.registry import on_workspace_created

    assert give_inbox in on_workspace_created
    give_inbox(workspace)
    account = SendingAccount.objects.get()
    assert (account.provider, account.is_default) == ("inbox", True)
    account.delete()
    settings.INBOX = False
    give_inbox(workspace)
    assert not SendingAccount.objects.exists()


def test_pace_warm_up_and_fail_over_are_kept_and_shown(ada, workspace, sign_in):
    client = sign_in(ada)
    pace = {
        "rate_per_minute": "600",
        "rate_per_hour": "9000",
        "rate_per_day": "20000",
        "warm_up": "50, 100 250",
        "domain_per_second": "5",
    }
    client.post(
        new("smtp"), {**SMTP, **pace, "domain_lanes": "2", "stands_in": "on", "position": "3", "share": "2"}
    )
    account = SendingAccount.objects.get()
    assert (account.rate_per_minute, account.rate_per_hour) == (600, 9000)
    assert (account.rate_per_day, account.domain_lanes) == (20_000, 2)
    assert "9,000 an hour at most" in client.get(reverse("sending")).text
    assert (account.warm_up, account.warm_up_from) == ([50, 100, 250], timezone.localdate())
    assert (account.stands_in, account.position, account.share) == (True, 3, 2)
    page = client.get(reverse("sending_edit", args=[account.pk])).content.decode()
    assert 'value="50, 100, 250"' in page
    overview = client.get(reverse("sending")).content.decode()
    assert "20,000 a day at most" in overview
    assert "Warm-up of 3 days" in overview
    assert "50 left of 50 (day 1 of the warm-up)" in overview
    assert "5 a second at most" in overview
    assert "2 messages at once" in overview
    assert "Fail-over, turn 3" in overview


def test_the_buttons_of_the_page_do_what_they_say(ada, workspace):
    """As a browser sends them, with the token that stands in the form."""
    an_account(workspace, name="Relay", is_default=True)
    spare = an_account(workspace, name="Spare", stopped_reason="Blocked.", stopped_at=timezone.now())
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada, backend="allauth.account.auth_backends.AuthenticationBackend")
    for name in ("sending_use", "sending_default"):
        page, url = client.get(reverse("sending")).content.decode(), reverse(name, args=[spare.pk])
        form = re.search(rf'<form method="post" action="{url}".*?</form>', page, re.DOTALL)[0]
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)[1]
        assert client.post(url, {"csrfmiddlewaretoken": token}).status_code == 302
    spare.refresh_from_db()
    assert (spare.stopped_reason, spare.is_default) == ("", True)


def test_without_encryption_and_set_aside_are_said_once_and_in_words(ada, workspace, sign_in):
    settings = {"host": "127.0.0.1", "port": 2527, "security": "none", "user": None}
    account = an_account(workspace, settings=settings)
    set_aside(account, by=ada)
    page = sign_in(ada).get(reverse("sending")).content.decode()
    assert "127.0.0.1:2527, no encryption" in page
    assert page.count("Set aside by") == 1
    assert "Set aside just now:" not in page
