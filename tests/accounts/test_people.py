"""Members, their roles, and invitations by mail."""

from datetime import timedelta

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry, Invitation, Membership, Role
from tests.people import PASSWORD

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def outbox(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    mail.outbox = []


def invite(client, email="dora@acme.example", role="marketer"):
    return client.post(reverse("invite"), {"email": email, "role": role})


def role_of(person, workspace):
    return Membership.objects.get(user=person, workspace=workspace).role


def test_an_invitation_is_mailed_and_makes_a_new_person_a_member(sign_in, ada, workspace):
    invite(sign_in(ada))
    invitation = Invitation.objects.get()
    assert mail.outbox[0].to == ["dora@acme.example"]
    assert invitation.token in mail.outbox[0].body
    guest = Client()
    assert workspace.name in guest.get(reverse("invitation", args=[invitation.token])).content.decode()
    guest.post(reverse("account_signup"), {"email": "dora@acme.example", "password1": PASSWORD})
    membership = Membership.objects.get(user__email="dora@acme.example")
    assert (membership.workspace, membership.role) == (workspace, Role.MARKETER)


def test_somebody_with_an_account_accepts_by_a_button_and_only_once(sign_in, ada, mallory, workspace):
    invite(sign_in(ada), email="mallory@elsewhere.example", role="viewer")
    accept = reverse("invitation_accept", args=[Invitation.objects.get().token])
    assert sign_in(mallory).get(accept).status_code == 405
    assert sign_in(mallory).post(accept).status_code == 302
    assert role_of(mallory, workspace) == Role.VIEWER
    assert sign_in(mallory).post(accept).status_code == 410


def test_an_invitation_expires(sign_in, ada, mallory):
    invite(sign_in(ada))
    Invitation.objects.update(created_at=timezone.now() - timedelta(days=15))
    response = sign_in(mallory).post(reverse("invitation_accept", args=[Invitation.objects.get().token]))
    assert response.status_code == 410
    assert "expired" in response.content.decode()


def test_an_unknown_invitation_is_a_404():
    assert Client().get(reverse("invitation", args=["nonsense"])).status_code == 404


def test_a_member_is_not_invited_again(sign_in, ada, bob):
    response = invite(sign_in(ada), email="BOB@acme.example")
    assert "is a member already" in response.content.decode()
    assert not Invitation.objects.exists()


def test_an_invitation_that_cannot_be_mailed_is_not_made(sign_in, ada, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_PORT = 1
    response = invite(sign_in(ada))
    assert "could not be mailed" in response.content.decode()
    assert not Invitation.objects.exists()


def test_an_admin_changes_roles_but_makes_no_owner(sign_in, ada, bob, workspace):
    membership = Membership.objects.get(user=bob)
    change = reverse("member_role", args=[membership.pk])
    sign_in(ada).post(change, {"role": "viewer"})
    assert role_of(bob, workspace) == "viewer"
    assert sign_in(ada).post(change, {"role": "owner"}).status_code == 403
    assert AuditEntry.objects.filter(verb="member.made_viewer").exists()


def test_an_admin_cannot_touch_an_owner(sign_in, ada, alice, workspace):
    membership = Membership.objects.get(user=alice)
    assert (
        sign_in(ada).post(reverse("member_role", args=[membership.pk]), {"role": "viewer"}).status_code == 403
    )
    assert sign_in(ada).post(reverse("member_remove", args=[membership.pk])).status_code == 403
    assert role_of(alice, workspace) == "owner"


def test_the_last_owner_stays(sign_in, alice, workspace):
    membership = Membership.objects.get(user=alice)
    response = sign_in(alice).post(reverse("member_remove", args=[membership.pk]))
    assert response.status_code == 422
    assert "only owner" in response.content.decode()
    assert role_of(alice, workspace) == "owner"


def test_anybody_may_leave_but_not_take_out_others(sign_in, carol, bob):
    others = Membership.objects.get(user=bob)
    own = Membership.objects.get(user=carol)
    assert sign_in(carol).post(reverse("member_remove", args=[others.pk])).status_code == 403
    sign_in(carol).post(reverse("member_remove", args=[own.pk]))
    assert not Membership.objects.filter(user=carol).exists()


def test_a_stranger_finds_nobody(sign_in, mallory, bob):
    membership = Membership.objects.get(user=bob)
    assert (
        sign_in(mallory).post(reverse("member_role", args=[membership.pk]), {"role": "viewer"}).status_code
        == 404
    )


def test_switching_needs_a_membership(sign_in, alice, mallory, workspace):
    assert sign_in(mallory).post(reverse("workspace_switch", args=[workspace.pk])).status_code == 404


def test_an_expired_invitation_says_so_and_does_not_stand_in_the_way_of_signing_up(sign_in, ada, workspace):
    invite(sign_in(ada))
    Invitation.objects.update(created_at=timezone.now() - timedelta(days=15))
    guest = Client()
    page = guest.get(reverse("invitation", args=[Invitation.objects.get().token])).content.decode()
    assert "has expired" in page
    answer = guest.post(reverse("account_signup"), {"email": "dora@acme.example", "password1": PASSWORD})
    assert answer.status_code == 302
    assert Membership.objects.get(user__email="dora@acme.example").workspace != workspace


@pytest.mark.parametrize("deed", ["remove", "role"])
def test_who_loses_a_role_does_not_come_back_by_an_invitation_of_their_own(
    sign_in, alice, ada, workspace, deed
):
    invite(sign_in(ada), email="ada@second.example", role="admin")
    membership = Membership.objects.get(user=ada, workspace=workspace)
    sign_in(alice).post(reverse(f"member_{deed}", args=[membership.pk]), {"role": "viewer"})
    assert not Invitation.objects.filter(email="ada@second.example").exists()


def test_a_workspace_name_of_earlier_days_with_a_line_break_does_not_break_an_invitation(
    sign_in, ada, workspace
):
    workspace.name = "Acme\r\nBcc: evil@x.example"
    workspace.save()
    assert invite(sign_in(ada)).status_code == 302
    assert "\n" not in mail.outbox[0].subject
