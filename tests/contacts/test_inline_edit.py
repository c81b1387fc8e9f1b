"""One value changed where it stands on the contact's page."""

import threading

import pytest
from django.urls import reverse

from accounts.models import AuditEntry
from contacts.actions import contacts as actions
from contacts.models import Contact, FormerContact
from tests.at_once import beside
from tests.builders import a_contact, a_field

HTMX = {"HX-Request": "true"}


@pytest.fixture
def anna(workspace):
    a_field(workspace, "City")
    a_field(workspace, "Member", type="boolean")
    return a_contact(workspace, first_name="Anna", city="Köln", other="kept")


def url_of(contact, name):
    return reverse("contact_value", args=[contact.pk, name])


def test_the_form_stands_in_the_values_place_and_the_value_comes_back(sign_in, bob, anna):
    client, url = sign_in(bob), url_of(anna, "attribute_city")
    form = client.get(url, headers=HTMX).text
    assert 'value="Köln"' in form
    assert 'aria-label="City"' in form
    assert "<html" not in form
    assert "Köln" in client.get(f"{url}?shown", headers=HTMX).text


@pytest.mark.parametrize(
    ("name", "typed", "column", "value"),
    [
        ("first_name", "Anne", "first_name", "Anne"),
        ("last_name", "", "last_name", ""),
        ("email", "Anne@EXAMPLE.com", "email", "Anne@example.com"),
        ("attribute_city", "Bonn", "attributes", {"city": "Bonn", "other": "kept"}),
        ("attribute_city", "", "attributes", {"other": "kept"}),
        ("attribute_member", "yes", "attributes", {"city": "Köln", "member": True, "other": "kept"}),
    ],
)
def test_a_value_is_saved_and_shown(sign_in, bob, anna, name, typed, column, value):
    part = sign_in(bob).post(url_of(anna, name), {name: typed}, headers=HTMX)
    assert part.status_code == 200
    anna.refresh_from_db()
    assert getattr(anna, column) == value
    assert f'id="value-{name}"' in part.text
    assert 'id="contact-heading"' in part.text


def test_the_same_value_again_is_no_change(sign_in, bob, anna):
    for name, same in (("first_name", "Anna"), ("attribute_city", "Köln"), ("email", anna.email)):
        assert sign_in(bob).post(url_of(anna, name), {name: same}, headers=HTMX).status_code == 200
    assert not AuditEntry.objects.filter(verb="contact.changed").exists()
    sign_in(bob).post(url_of(anna, "first_name"), {"first_name": "anna"}, headers=HTMX)
    assert AuditEntry.objects.filter(verb="contact.changed").count() == 1


def test_the_timeline_and_the_trail_say_which_value_was_changed(sign_in, bob, anna):
    client = sign_in(bob)
    client.post(url_of(anna, "attribute_city"), {"attribute_city": "Bonn"}, headers=HTMX)
    assert "Changed City" in client.get(reverse("contact", args=[anna.pk])).text
    assert AuditEntry.objects.get(verb="contact.changed").words == "Changed a contact: City"


@pytest.mark.parametrize(
    ("name", "typed", "message"),
    [
        ("email", "", "Give the e-mail address."),
        ("email", "nonsense", "@-sign"),
        ("email", "TOM@example.com", "is already a contact"),
        ("first_name", "x" * 121, "at most 120 characters"),
        ("first_name", "a\u2028b", "Keep this on one line."),
        ("attribute_city", "x" * 2001, "at most 2000 characters"),
        ("attribute_city", "a\0", "Null characters"),
        ("attribute_member", "perhaps", "Select a valid choice"),
    ],
)
def test_what_is_wrong_is_said_in_place_and_stays_typed(sign_in, bob, workspace, anna, name, typed, message):
    a_contact(workspace, "tom@example.com")
    answer = sign_in(bob).post(url_of(anna, name), {name: typed}, headers=HTMX)
    assert answer.status_code == 422
    assert message in answer.text
    assert 'role="alert"' in answer.text
    before = Contact.objects.get(pk=anna.pk)
    assert (before.email, before.first_name, before.attributes) == (anna.email, "Anna", anna.attributes)


def test_without_htmx_the_whole_form_serves(sign_in, bob, anna):
    answer = sign_in(bob).get(url_of(anna, "attribute_city"))
    assert answer.url == reverse("contact_edit", args=[anna.pk]) + "#id_attribute_city"


@pytest.mark.parametrize(
    "name", ["attributes", "attribute_other", "workspace", "pk", "tag_ids", "asked_back", "x' y"]
)
def test_only_values_that_the_page_shows_can_be_changed(sign_in, bob, anna, name):
    for verb in ("get", "post"):
        assert getattr(sign_in(bob), verb)(url_of(anna, name), {name: "x"}, headers=HTMX).status_code == 404


def test_a_viewer_sees_no_pencil_and_may_not(sign_in, carol, mallory, anna):
    assert "data-edit-here" not in sign_in(carol).get(reverse("contact", args=[anna.pk])).text
    for verb in ("get", "post"):
        assert getattr(sign_in(carol), verb)(url_of(anna, "first_name"), headers=HTMX).status_code == 403
        assert getattr(sign_in(mallory), verb)(url_of(anna, "first_name"), headers=HTMX).status_code == 404


def test_hostile_values_are_text(sign_in, bob, anna):
    part = sign_in(bob).post(url_of(anna, "first_name"), {"first_name": "<script>x"}, headers=HTMX).text
    assert "<script>" not in part
    assert "&lt;script&gt;x" in part


def test_an_earlier_address_is_remembered_and_its_case_is_none(sign_in, bob, anna):
    for email in ("ANNA@example.com", "new@example.com"):
        sign_in(bob).post(url_of(anna, "email"), {"email": email}, headers=HTMX)
    assert [each.email for each in FormerContact.objects.all()] == ["ANNA@example.com"]


@pytest.mark.django_db(transaction=True)
def test_two_who_change_two_values_at_once_lose_nothing(workspace, bob, anna):
    begin = threading.Barrier(2, timeout=10)

    def change(name, value):
        begin.wait()
        actions.set_value(anna, name=name, value=value, by=bob)

    for each in [beside(change, "attribute_city", "Bonn"), beside(change, "attribute_member", True)]:
        each.result(20)
    assert Contact.objects.get().attributes == {"city": "Bonn", "member": True, "other": "kept"}


def test_suppressing_says_the_consequence_and_comes_back(sign_in, bob, carol, anna):
    url = reverse("contact_suppress", args=[anna.pk])
    assert "Nothing is sent to" in sign_in(bob).get(url).text
    answer = sign_in(bob).post(url, {"note": "Asked on the phone"})
    assert answer.url == reverse("contact", args=[anna.pk])
    assert "Asked on the phone" in sign_in(bob).get(answer.url).text
    assert sign_in(bob).post(url, {"note": ""}).status_code == 302
    assert sign_in(carol).post(url).status_code == 403
