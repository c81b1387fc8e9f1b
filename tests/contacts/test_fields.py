import pytest
from django.urls import reverse

from accounts.models import AuditEntry
from contacts.actions import fields as actions
from contacts.models import Contact, CustomField, Segment
from tests.builders import a_contact, a_field
from tests.people import a_workspace


@pytest.fixture
def city(workspace):
    return a_field(workspace, "City")


@pytest.mark.parametrize(
    ("label", "key"),
    [
        ("Favourite colour", "favourite_colour"),
        ("Größe", "große"),
        ("E-mail", "e_mail"),
        ("Email", "email_2"),  # contact.email is the address
        ("Name", "name_2"),
        ("ID", "id_2"),
        ("2nd name", "field_2nd_name"),
        ("城市", "field"),
        ("!", "field"),
        ("City!", "city_2"),
    ],
)
def test_the_key_follows_from_the_label_and_is_nobody_elses(sign_in, ada, workspace, city, label, key):
    response = sign_in(ada).post(reverse("field_new"), {"label": label, "type": "number"})
    assert response.url == reverse("fields")
    made = CustomField.objects.of(workspace).exclude(pk=city.pk).get()
    assert (made.label, made.type) == (label, "number")
    assert made.key == key or made.key.isascii()
    assert made.key not in ("email", "first_name", "last_name", "name", "id", "city")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": ""}, "Give the field a name."),
        ({"label": "cITY"}, "There is a field “cITY” already."),
        ({"label": "x" * 81}, "at most 80 characters"),
        ({"label": "a\0"}, "Null characters are not allowed."),
        ({"type": "colour"}, "Select a valid choice."),
    ],
)
def test_what_is_wrong_is_said(sign_in, ada, city, change, message):
    response = sign_in(ada).post(reverse("field_new"), {"label": "Age", "type": "number"} | change)
    assert response.status_code == 422
    assert message in response.text
    assert CustomField.objects.count() == 1


def test_a_key_taken_in_the_same_moment_is_said_beside_the_field(sign_in, ada, city, monkeypatch):
    monkeypatch.setattr("contacts.actions.fields.key_of", lambda *_: "city")
    response = sign_in(ada).post(reverse("field_new"), {"label": "Town", "type": "text"})
    assert response.status_code == 422
    assert "There is a field “Town” already." in response.text


def test_renaming_keeps_the_key(sign_in, ada, city):
    sign_in(ada).post(reverse("field_edit", args=[city.pk]), {"label": "Town", "type": "number"})
    city.refresh_from_db()
    assert (city.label, city.key, city.type) == ("Town", "city", "text")


def test_deleting_says_in_numbers_what_goes_and_takes_it_out(sign_in, ada, workspace, city):
    elsewhere = a_contact(a_workspace("Elsewhere"), city="Bonn")
    for number in range(3):
        a_contact(workspace, f"p{number}@example.com", city="Köln", age=number)
    a_contact(workspace, "none@example.com", age=9)
    rules = {"join": "and", "rules": [{"subject": "attribute:city", "operator": "is", "value": "Köln"}]}
    Segment.objects.create(workspace=workspace, name="Cologne", rules=rules)
    page = reverse("field_delete", args=[city.pk])
    text = sign_in(ada).get(page).text
    assert "3 contacts" in text
    assert "Cologne" in text
    assert CustomField.objects.exists()
    assert sign_in(ada).post(page).url == reverse("fields")
    assert not CustomField.objects.exists()
    assert [contact.attributes for contact in Contact.objects.of(workspace).order_by("pk")] == [
        {"age": 0},
        {"age": 1},
        {"age": 2},
        {"age": 9},
    ]
    elsewhere.refresh_from_db()
    assert elsewhere.attributes == {"city": "Bonn"}
    assert AuditEntry.objects.get(verb="field.deleted").subject == "City"


def test_values_go_in_one_statement(workspace, ada, city, django_assert_num_queries):
    for number in range(5):
        a_contact(workspace, f"p{number}@example.com", city="Köln")
    with django_assert_num_queries(5):  # savepoint, the values, the audit entry, the field, release
        assert actions.delete(city, by=ada) == 5


def test_everybody_sees_the_fields_as_written_in_messages(sign_in, carol, city):
    text = sign_in(carol).get(reverse("fields")).text
    assert "{{ contact.city }}" in text
    assert reverse("field_new") not in text


@pytest.mark.parametrize("name", ["field_edit", "field_delete"])
def test_a_marketer_may_not_and_for_mallory_it_does_not_exist(sign_in, bob, mallory, city, name):
    url = reverse(name, args=[city.pk])
    for verb in ("get", "post"):
        assert getattr(sign_in(bob), verb)(url).status_code == 403
        assert getattr(sign_in(mallory), verb)(url).status_code == 404
    assert sign_in(bob).get(reverse("field_new")).status_code == 403


def test_an_empty_page_teaches(sign_in, ada):
    assert "No custom fields yet" in sign_in(ada).get(reverse("fields")).text
