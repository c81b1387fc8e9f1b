"""Signing up, in and out, and getting a forgotten password back."""

import re

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse

from accounts.models import Invitation, Membership, Role, User, Workspace
from delivery.models import SendingAccount
from tests.people import PASSWORD

NEW = {
    "email": "eve@new.example",
    "password1": PASSWORD,
    "name": "Eve",
    "workspace": "Eve & Co",
    "time_zone": "Europe/Paris",
}
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def outbox(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    mail.outbox = []


def sign_up(client=None, **changes):
    return (client or Client()).post(reverse("account_signup"), {**NEW, **changes})


def test_signing_up_makes_a_workspace_with_its_owner_and_the_local_inbox():
    response = sign_up()
    assert response.status_code == 302
    membership = Membership.objects.get(user__email="eve@new.example")
    assert membership.role == Role.OWNER
    assert (membership.workspace.name, membership.workspace.time_zone) == ("Eve & Co", "Europe/Paris")
    assert SendingAccount.objects.get(workspace=membership.workspace).is_default


def test_a_zone_that_does_not_exist_becomes_utc():
    sign_up(time_zone="Mars/Olympus")
    assert Workspace.objects.get().time_zone == "UTC"


def test_a_workspace_without_a_name_is_called_after_its_person():
    sign_up(workspace="")
    assert Workspace.objects.get().name == "Eve’s workspace"


def test_a_short_password_is_refused_beside_its_field_and_makes_nothing():
    response = sign_up(password1="short")
    assert "password1" in response.context["form"].errors
    assert response.context["form"]["email"].value() == "eve@new.example"
    assert not User.objects.exists()


def test_signing_up_works_while_no_mail_server_answers(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_PORT = 1
    assert sign_up().status_code == 302
    assert User.objects.filter(email="eve@new.example").exists()


def test_a_reset_that_cannot_be_mailed_says_so(settings, alice):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_PORT = 1
    response = Client().post(reverse("account_reset_password"), {"email": alice.email})
    assert response.status_code == 503
    assert "mail server is not reachable" in response.content.decode()


def test_the_link_in_a_reset_mail_sets_a_new_password(alice):
    client = Client()
    client.post(reverse("account_reset_password"), {"email": alice.email})
    link = re.search(r"http://\S+(/accounts/password/reset/key/\S+)", mail.outbox[0].body)[1]
    form = client.get(link, follow=True)
    client.post(
        form.request["PATH_INFO"],
        {"password1": "another horse battery", "password2": "another horse battery"},
    )
    alice.refresh_from_db()
    assert alice.check_password("another horse battery")


def test_signing_in_and_out(alice):
    client = Client()
    page = client.post(reverse("account_login"), {"login": "ALICE@acme.example", "password": PASSWORD})
    assert page.url == reverse("home")
    client.post(reverse("account_logout"))
    assert client.get(reverse("workspace_settings")).status_code == 302


def test_a_wrong_password_is_refused_in_words(alice):
    page = Client().post(reverse("account_login"), {"login": alice.email, "password": "nonsense"})
    assert "not correct" in page.content.decode()


@pytest.mark.parametrize("field", ["name", "workspace"])
@pytest.mark.parametrize("end", ["\r\n", "\n", "\u2028"])
def test_names_that_would_add_a_header_to_mail_are_refused_beside_them(field, end):
    response = sign_up(**{field: f"Mia{end}Bcc: x"})
    assert "Keep this on one line." in response.content.decode()
    assert not User.objects.exists()


@pytest.mark.parametrize(
    ("address", "typed"),
    [
        ("/settings/", {"name": "Mia\r\nBcc: x", "time_zone": "UTC"}),
        ("/workspaces/new/", {"name": "Mia\r\nBcc: x"}),
        ("/lists/new/", {"name": "Mia\r\nBcc: x"}),
        ("/contacts/new/", {"email": "mia@example.com", "first_name": "Mia\r\nBcc: x"}),
        ("/contacts/new/", {"email": "mia@example.com", "last_name": "Mia\r\nBcc: x"}),
    ],
)
def test_no_name_in_a_workspace_has_two_lines(alice, sign_in, address, typed):
    response = sign_in(alice).post(address, typed)
    assert response.status_code == 422
    assert "Keep this on one line." in response.content.decode()


def test_the_mail_for_a_new_password_names_volley_and_holds_the_link(alice):
    Client().post(reverse("account_reset_password"), {"email": alice.email})
    message = mail.outbox[0]
    assert message.subject == "Choose a new password for Volley"
    assert "your account on Volley" in message.body
    assert re.search(r"^http://\S+/accounts/password/reset/key/\S+$", message.body, re.MULTILINE)
    assert "testserver!" not in message.body


def test_whoever_asks_with_another_address_is_told_by_mail_alone(alice):
    Client().post(reverse("account_reset_password"), {"email": "nobody@acme.example"})
    assert mail.outbox[0].subject == "No account on Volley with this e-mail address"
    assert reverse("account_signup") in mail.outbox[0].body


def test_the_mail_to_confirm_an_address_names_volley_and_holds_the_link():
    client = Client()
    sign_up(client)
    message = mail.outbox[0]
    assert message.subject == "Confirm your e-mail address for Volley"
    link = re.search(r"http://\S+?(/accounts/confirm-email/\S+)", message.body)[1]
    assert "Confirm it" in client.get(link).content.decode()
    assert "eve@new.example is confirmed." in client.post(link, follow=True).content.decode()


@pytest.mark.parametrize(
    "name",
    ["account_reset_password", "account_reset_password_done", "account_reset_password_from_key_done"],
)
def test_a_forgotten_password_never_ends_without_a_way_on(name):
    page = Client().get(reverse(name)).content.decode()
    assert reverse("account_login") in page.partition("<main")[2]


@pytest.mark.parametrize("name", ["account_email", "account_change_password", "account_logout"])
def test_the_pages_of_ones_account_lead_back_home(alice, sign_in, name):
    page = sign_in(alice).get(reverse(name)).content.decode()
    assert "Back to Home</a>" in page


@pytest.mark.parametrize("name", ["account_login", "account_signup", "account_reset_password"])
def test_an_address_is_called_the_same_everywhere(name):
    page = Client().get(reverse(name)).content.decode()
    assert "E-mail address" in page
    assert not re.search(r"\b[Ee]mail( address)?\b(?![\"=_-])", re.sub(r"<[^>]*>", "", page))


def test_a_used_up_link_leads_to_a_new_one():
    page = Client().get(reverse("account_reset_password_from_key", args=["1", "gone"])).content.decode()
    assert "This link is used up" in page
    assert reverse("account_reset_password") in page


def an_invitation(workspace):
    return Invitation.objects.create(workspace=workspace, email="max@acme.example", role=Role.MARKETER)


def test_who_is_invited_signs_up_into_the_workspace_that_asked(workspace):
    client = Client()
    client.get(reverse("invitation", args=[an_invitation(workspace).token]))
    page = client.get(reverse("account_signup")).content.decode()
    assert f"You join <strong>{workspace}</strong> as marketer." in page
    assert 'value="max@acme.example"' in page
    assert "Company or project" not in page
    sign_up(client, email="max@acme.example")
    assert Workspace.objects.get() == workspace
    assert Membership.objects.get(user__email="max@acme.example").role == Role.MARKETER


def test_a_used_invitation_is_no_hindrance_to_signing_up(workspace):
    client, invitation = Client(), an_invitation(workspace)
    client.get(reverse("invitation", args=[invitation.token]))
    Invitation.objects.update(accepted_at=invitation.created_at)
    assert "Company or project" in client.get(reverse("account_signup")).content.decode()
    sign_up(client)
    assert Workspace.objects.filter(name="Eve & Co").exists()
