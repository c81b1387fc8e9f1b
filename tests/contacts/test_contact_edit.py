import re
import threading

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry, Role
from contacts.actions import contacts as actions
from contacts.models import Contact
from tests.at_once import beside
from tests.builders import a_contact, a_field, a_list
from tests.people import a_person, a_workspace


@pytest.fixture
def fields(workspace):
    for label, kind in (("City", "text"), ("Age", "number"), ("Born", "date"), ("Member", "boolean")):
        a_field(workspace, label, type=kind)


TYPED = {
    "email": "Anna@Example.COM",
    "first_name": "Anna",
    "attribute_city": "Köln",
    "attribute_age": "41",
    "attribute_born": "1983-02-01",
    "attribute_member": "no",
}


def test_a_marketer_adds_a_contact_with_typed_attributes(sign_in, bob, workspace, fields):
    response = sign_in(bob).post(reverse("contact_new"), TYPED)
    contact = Contact.objects.of(workspace).get()
    assert response.url == reverse("contact", args=[contact.pk])
    assert (contact.email, contact.name) == ("Anna@example.com", "Anna")
    assert contact.attributes == {"city": "Köln", "age": 41, "born": "1983-02-01", "member": False}
    assert not contact.subscriptions.exists()
    assert AuditEntry.objects.get(verb="contact.created").user == bob


def test_subscribing_a_new_contact_keeps_the_record_of_consent(sign_in, bob, workspace):
    news = a_list(workspace)
    sign_in(bob).post(
        reverse("contact_new"), {"email": "anna@example.com", "lists": [news.pk], "agreed": "on"}
    )
    held = Contact.objects.get().subscriptions.get()
    assert (held.list, held.status, held.consent_source) == (news, "subscribed", "Added by hand by Bob")
    assert held.consent_at


def test_nobody_is_subscribed_without_consent(sign_in, bob, workspace):
    news = a_list(workspace)
    response = sign_in(bob).post(reverse("contact_new"), {"email": "anna@example.com", "lists": [news.pk]})
    assert response.status_code == 422
    assert "Only people who agreed may be subscribed" in response.text
    assert "anna@example.com" in response.text
    assert not Contact.objects.exists()


def test_another_workspaces_list_cannot_be_chosen(sign_in, bob):
    theirs = a_list(a_workspace("Elsewhere"))
    data = {"email": "anna@example.com", "lists": [theirs.pk], "agreed": "on"}
    assert sign_in(bob).post(reverse("contact_new"), data).status_code == 422


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"email": ""}, "Give the e-mail address."),
        ({"email": "anna"}, "@-sign"),
        ({"email": "anna@exam ple.com"}, "The part after the @-sign"),
        ({"email": "a\0@example.com"}, "Null characters are not allowed."),
        ({"email": "a" * 300 + "@example.com"}, "longer than 64 characters"),
        ({"first_name": "x" * 121}, "at most 120 characters"),
        ({"attribute_age": "many"}, "Enter a number."),
        ({"attribute_age": "1e400"}, "Enter a number."),
        ({"attribute_age": "nan"}, "Enter a number."),
        ({"attribute_born": "01.02.1983"}, "Give the date as in 2024-12-31, or without a year"),
        ({"attribute_member": "maybe"}, "Select a valid choice."),
        ({"attribute_city": "x" * 2001}, "at most 2000 characters"),
    ],
)
def test_what_is_wrong_is_said_and_what_was_typed_is_kept(sign_in, bob, fields, change, message):
    response = sign_in(bob).post(reverse("contact_new"), TYPED | change)
    assert response.status_code == 422
    assert message in response.text
    assert "1983-02-01" in response.text or "attribute_born" in change
    assert not Contact.objects.exists()


def test_an_address_is_taken_whatever_its_case(sign_in, bob, workspace):
    anna = a_contact(workspace, "anna@example.com")
    response = sign_in(bob).post(reverse("contact_new"), {"email": "ANNA@example.com"})
    assert response.status_code == 422
    assert "ANNA@example.com is already a contact." in response.text
    assert f'<a href="{reverse("contact", args=[anna.pk])}">' in response.text


def test_the_same_address_may_be_in_another_workspace(sign_in, bob):
    a_contact(a_workspace("Elsewhere"), "anna@example.com")
    assert sign_in(bob).post(reverse("contact_new"), {"email": "anna@example.com"}).status_code == 302


@pytest.mark.django_db(transaction=True)
def test_of_two_who_add_the_same_address_at_once_one_is_told():
    workspace = a_workspace()
    bob = a_person("bob@acme.example", name="Bob", workspace=workspace, role=Role.MARKETER)
    start = threading.Barrier(3, timeout=10)

    def add(email):
        start.wait()
        try:
            actions.create(workspace, details=actions.Details(email), by=bob)
        except actions.AddressTaken as refusal:
            return refusal.existing.email.lower()
        return "added"

    adding = [beside(add, email) for email in ("anna@x.org", "Anna@x.org", "ANNA@x.org")]
    assert sorted(each.result(30) for each in adding) == ["added", "anna@x.org", "anna@x.org"]


def test_an_address_taken_after_the_form_was_checked_is_said_beside_the_field(
    sign_in, bob, workspace, monkeypatch
):
    anna = a_contact(workspace, "anna@example.com")
    ben = a_contact(workspace, "ben@example.com")
    monkeypatch.setattr(
        "contacts.forms.contacts.contact_at", lambda *_: None
    )  # as if Anna came a moment later
    client = sign_in(bob)
    for page in (reverse("contact_new"), reverse("contact_edit", args=[ben.pk])):
        response = client.post(page, {"email": "Anna@example.com"})
        assert response.status_code == 422
        assert reverse("contact", args=[anna.pk]) in response.text


def test_a_marketer_changes_a_contact_and_unknown_attributes_stay(sign_in, bob, workspace, fields):
    anna = a_contact(workspace, first_name="Anna", city="Köln", age=41, member=True, odd="kept")
    page = reverse("contact_edit", args=[anna.pk])
    assert 'value="Köln"' in sign_in(bob).get(page).text
    data = {
        "email": "ANNA@example.com",
        "attribute_city": "",
        "attribute_age": "4.5",
        "attribute_member": "yes",
    }
    assert sign_in(bob).post(page, data).url == reverse("contact", args=[anna.pk])
    anna.refresh_from_db()
    assert (anna.email, anna.first_name) == ("ANNA@example.com", "")
    assert anna.attributes == {"age": 4.5, "member": True, "odd": "kept"}


def test_what_does_not_fit_its_type_any_more_can_be_mended(sign_in, bob, workspace, fields):
    anna = a_contact(workspace, city=5, age="old", born=True, member="perhaps")
    assert sign_in(bob).get(reverse("contact_edit", args=[anna.pk])).status_code == 200
    assert sign_in(bob).get(reverse("contact", args=[anna.pk])).status_code == 200


def test_a_birthday_without_a_year_is_shown_kept_and_changed(sign_in, bob, workspace, fields):
    anna, client = a_contact(workspace, born="--03-14"), sign_in(bob)
    assert "14 Mar" in client.get(reverse("contact", args=[anna.pk])).text
    edit = reverse("contact_edit", args=[anna.pk])
    form = client.get(edit).context["form"]
    typed = {field.html_name: field.value() or "" for field in form} | {"first_name": "Anna"}
    for born, kept in (
        (typed["attribute_born"], "--03-14"), ("--12-31", "--12-31"), ("02-29", "--02-29"), ("1983-02-01", "1983-02-01")
    ):  # fmt: skip
        assert client.post(edit, typed | {"attribute_born": born}).status_code == 302
        anna.refresh_from_db()
        assert anna.attributes == {"born": kept}
    Contact.objects.filter(pk=anna.pk).update(attributes={"born": "--03-14"})
    refused = client.post(edit, typed | {"attribute_born": "--02-30"})
    assert "without a year as in 12-31" in refused.text


def test_a_birthday_without_a_year_is_shown_in_a_box_that_can_hold_it(sign_in, bob, workspace, fields):
    anna, client = a_contact(workspace, born="--03-14"), sign_in(bob)
    page = client.get(reverse("contact_edit", args=[anna.pk])).text
    assert re.search(r'<input type="text" name="attribute_born" value="03-14"[^>]*placeholder="MM-DD"', page)
    Contact.objects.filter(pk=anna.pk).update(attributes={"born": "1983-02-01"})
    page = client.get(reverse("contact_edit", args=[anna.pk])).text
    assert re.search(r'<input type="date" name="attribute_born" value="1983-02-01"', page)
    assert "Without a year" in page


def test_a_contact_is_deleted_for_good_after_asking(sign_in, bob, workspace):
    anna = a_contact(workspace, subscribed_to=[a_list(workspace)])
    workspace.suppressions.create(email="anna@example.com", reason="complaint")
    page = reverse("contact_delete", args=[anna.pk])
    assert "1 subscription with the record" in sign_in(bob).get(page).text
    assert Contact.objects.exists()
    assert sign_in(bob).post(page).url == reverse("contacts")
    assert not Contact.objects.exists()
    assert workspace.suppressions.exists()
    assert AuditEntry.objects.get(verb="contact.deleted").subject == "anna@example.com"


@pytest.mark.parametrize("name", ["contact_edit", "contact_delete", "contact_subscribe"])
def test_a_viewer_may_not_and_for_mallory_it_does_not_exist(sign_in, carol, mallory, workspace, name):
    url = reverse(name, args=[a_contact(workspace).pk])
    for verb in ("get", "post"):
        assert getattr(sign_in(carol), verb)(url).status_code == 403
        assert getattr(sign_in(mallory), verb)(url).status_code == 404
    assert sign_in(carol).get(reverse("contact_new")).status_code == 403
    assert Client().post(url).status_code == 302
