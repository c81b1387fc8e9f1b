"""Signing up, in and out, and getting a forgotten password back."""

import re

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse

from accounts.models import Membership, Role, User, Workspace
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
