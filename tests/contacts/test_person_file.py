import json
import uuid

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry, record
from contacts.models import FormerContact, Suppression
from delivery.models import Delivery, Event, Mailing, Stray
from tests.builders import a_contact, a_field, a_list, a_tag, an_account


@pytest.fixture
def anna(workspace):
    a_field(workspace, "Favourite city", key="city")
    anna = a_contact(
        workspace,
        first_name="Anna",
        last_name='O"Neil',
        subscribed_to=[a_list(workspace)],
        city="Köln\n2",
        gone=1,
    )
    a_tag(workspace, "VIP", anna)
    mailing = Mailing.objects.create(
        workspace=workspace, name="March", account=an_account(workspace), content={"subject": "Hello {{ x }}"}
    )
    Delivery.objects.create(
        mailing=mailing, number=1, contact=anna, email=anna.email, state="rejected", code="550", server_said="No",
        settled_at=timezone.now(),
    )  # fmt: skip
    came = {"workspace": workspace, "kind": "bounced", "at": timezone.now(), "said": "User unknown"}
    Event.objects.create(**came, mailing=mailing, contact=anna, number=1, key=uuid.uuid4(), code="5.1.1")
    Stray.objects.create(**came, email=anna.email, key=uuid.uuid4())
    Suppression.objects.create(workspace=workspace, email=anna.email, reason="complaint")
    FormerContact.objects.create(workspace=workspace, contact=anna, email="old@example.com")
    record(None, "contact.changed", "OLD@example.com", workspace=workspace)
    return anna


def read(client, contact):
    answer = client.post(reverse("contact_file", args=[contact.pk]))
    assert answer.streaming
    return answer, json.loads(b"".join(answer.streaming_content))


def test_it_holds_everything_in_one_file(sign_in, bob, anna):
    answer, held = read(sign_in(bob), anna)
    assert answer["Content-Disposition"] == 'attachment; filename="anna-at-example-com.json"'
    assert answer["Content-Type"] == "application/json"
    assert "no-store" in answer["Cache-Control"]
    assert held["profile"]["email"] == "anna@example.com"
    assert held["profile"]["earlier_emails"] == ["old@example.com"]
    assert held["profile"]["last_name"] == 'O"Neil'
    assert held["fields"] == {"Favourite city": "Köln\n2", "gone": 1}
    assert held["tags"] == ["VIP"]
    (news,) = held["lists"]
    assert (news["list"], news["status"], news["consent_source"]) == (
        "News",
        "Subscribed",
        "Form on the web site",
    )
    assert held["suppression"]["reason"] == "Complaint"
    (message,) = held["messages"]
    assert (message["subject"], message["outcome"], message["answer"]) == (
        "Hello {{ x }}",
        "Rejected",
        "550 No",
    )
    assert [each["answer"] for each in held["events"]] == ["5.1.1 User unknown"]
    assert [(each["to"], each["answer"]) for each in held["strays"]] == [(anna.email, "User unknown")]
    assert [entry["what"] for entry in held["audit_trail"]] == [
        "Changed a contact",
        "Exported everything held on a contact",
    ]


def test_it_is_written_to_the_trail_and_for_marketers(sign_in, bob, carol, mallory, anna):
    url = reverse("contact_file", args=[anna.pk])
    assert sign_in(carol).post(url).status_code == 403
    assert sign_in(mallory).post(url).status_code == 404
    assert sign_in(bob).get(url).status_code == 405
    assert not AuditEntry.objects.filter(verb="contact.exported").exists()
    read(sign_in(bob), anna)
    assert AuditEntry.objects.get(verb="contact.exported").user == bob


def test_somebody_of_whom_little_is_known_is_a_whole_file(sign_in, bob, workspace):
    _, held = read(sign_in(bob), a_contact(workspace, "new@example.com"))
    assert held["messages"] == held["lists"] == held["tags"] == []
    assert held["suppression"] is None
