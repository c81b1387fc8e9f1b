import html

import pytest
from django.urls import reverse

from accounts.models import AuditEntry
from contacts import fitting
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
    with django_assert_num_queries(
        8
    ):  # savepoint, the values, those of undoing, the imports' and bulk actions' choices, the audit entry, the field
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


def post(client, url, options=(), was=(), **data):
    return client.post(url, {**data, "option": list(options), "was": list(was)})


@pytest.fixture
def plan(workspace):
    return a_field(workspace, "Plan", type="choice", options=["Free", "Plus", "Pro"])


def values(workspace, key="plan"):
    return [each.attributes.get(key) for each in Contact.objects.of(workspace).order_by("pk")]


def test_a_choice_is_made_with_its_options(sign_in, ada, workspace):
    made = post(
        sign_in(ada), reverse("field_new"), [" Gold ", "", "Silver"], ["", "", ""],
        label="Level", type="choice", default="silver", description="From the till",
    )  # fmt: skip
    assert made.status_code == 302
    field = CustomField.objects.get()
    assert (field.options, field.default, field.description) == (
        ["Gold", "Silver"],
        "silver",
        "From the till",
    )
    assert fitting.default_of(field) == "Silver"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "Give at least one option."),
        (["", " "], "Give at least one option."),
        (["Gold", "gOLD"], "stands there twice."),
        (["x" * 101], "is longer than 100 characters."),
        ([f"o{number}" for number in range(201)], "at most 200 options"),
    ],
)
def test_options_that_make_no_sense_are_refused(sign_in, ada, options, message):
    answer = post(sign_in(ada), reverse("field_new"), options, label="Level", type="choice")
    assert answer.status_code == 422
    assert message in answer.text
    assert not CustomField.objects.exists()


def test_renaming_an_option_takes_values_segments_and_the_default_along(sign_in, ada, workspace, plan):
    CustomField.objects.update(default="Pro")
    elsewhere = a_contact(a_workspace("Elsewhere"), plan="Pro")
    for number, held in enumerate(("Pro", "Free", "Plus", None)):
        a_contact(workspace, f"p{number}@example.com", **({"plan": held} if held else {}))
    rule = {"subject": "attribute:plan", "operator": "is", "value": "Pro"}
    other = {"subject": "attribute:city", "operator": "is", "value": "Pro"}
    several = {"subject": "attribute:plan", "operator": "any", "value": ["Free", "Pro"]}
    rules = {"join": "and", "rules": [rule, {"join": "or", "rules": [other, several]}]}
    Segment.objects.create(workspace=workspace, name="Pros", rules=rules)
    # Two change their names with each other, and the order changes, too.
    answer = post(
        sign_in(ada), reverse("field_edit", args=[plan.pk]),
        ["Business", "Free", "Plus"], ["Pro", "Plus", "Free"], label="Plan", default="Pro",
    )  # fmt: skip
    assert answer.status_code == 302
    assert values(workspace) == ["Business", "Plus", "Free", None]
    plan.refresh_from_db()
    assert (plan.options, plan.default) == (["Business", "Free", "Plus"], "Business")
    found = Segment.objects.get().rules["rules"]
    assert found[0]["value"] == "Business"
    assert found[1]["rules"][0]["value"] == "Pro"
    assert found[1]["rules"][1]["value"] == ["Plus", "Business"]
    elsewhere.refresh_from_db()
    assert elsewhere.attributes == {"plan": "Pro"}


def test_removing_an_option_says_who_has_it_and_asks(sign_in, ada, workspace, plan):
    for number in range(3):
        a_contact(workspace, f"p{number}@example.com", plan="Pro" if number else "Free")
    url, client = reverse("field_edit", args=[plan.pk]), sign_in(ada)
    answer = post(client, url, ["Free", "Plus", ""], ["Free", "Plus", "Pro"], label="Plan")
    assert answer.status_code == 422
    assert "“Pro”: 2" in answer.text
    assert "Remove these values from the contacts" in answer.text
    assert values(workspace) == ["Free", "Pro", "Pro"]
    answer = post(client, url, ["Free", "Plus", ""], ["Free", "Plus", "Pro"], label="Plan", remove="on")
    assert answer.status_code == 302
    assert values(workspace) == ["Free", None, None]
    assert post(client, url, ["Free"], ["Free"], label="Plan").status_code == 302  # nobody has Plus


def test_a_row_that_says_it_was_another_ones_option_makes_a_new_one(sign_in, ada, workspace, plan):
    a_contact(workspace, plan="Pro")
    options, was = ["Free", "Plus", "Pro", "Solo", "Duo"], ["Free", "Plus", "Pro", "Pro", "Nothing"]
    assert (
        post(sign_in(ada), reverse("field_edit", args=[plan.pk]), options, was, label="Plan").status_code
        == 302
    )
    plan.refresh_from_db()
    assert plan.options == options
    assert values(workspace) == ["Pro"]


@pytest.mark.parametrize(
    ("kind", "limits", "default", "problem"),
    [
        ("number", {"minimum": "0", "maximum": "120"}, "30", ""),
        ("number", {"minimum": "x"}, "", "“x” is not a number."),
        ("number", {"minimum": "5", "maximum": "1"}, "", "This is below where the values begin."),
        ("number", {"maximum": "120"}, "121", "“121” is more than 120."),
        ("date", {"minimum": "2000-01-01"}, "1999-12-31", "“1999-12-31” is earlier than 2000-01-01."),
        ("date", {"minimum": "--12-31"}, "", "Give the year, too"),
        ("date", {}, "tomorrow", "“tomorrow” is not a date."),
        ("text", {"length": "3"}, "four", "This has 4 characters; at most 3 are taken."),
        ("text", {"length": "0"}, "", "greater than or equal to 1"),
        ("boolean", {}, "perhaps", "“perhaps” is neither yes nor no."),
    ],
)
def test_limits_and_the_default_make_sense_together(sign_in, ada, kind, limits, default, problem):
    data = {"label": "Age", "type": kind, "default": default, **limits}
    answer = sign_in(ada).post(reverse("field_new"), data)
    assert answer.status_code == (422 if problem else 302)
    assert problem in html.unescape(answer.text)
    assert CustomField.objects.exists() is not bool(problem)


@pytest.mark.parametrize(
    ("kind", "limits", "good", "bad", "message"),
    [
        ("number", {"min": 0, "max": 10}, "10", "10.5", "“10.5” is more than 10."),
        ("date", {"max": "2020-12-31"}, "2020-12-31", "2021-01-01", "is later than 2020-12-31."),
        ("text", {"max": 3}, "abc", "abcd", "at most 3 characters"),
    ],
)
def test_limits_hold_in_the_form_and_where_the_value_stands(
    sign_in, bob, workspace, kind, limits, good, bad, message
):
    field = a_field(workspace, "Own", type=kind, limits=limits)
    anna, client = a_contact(workspace), sign_in(bob)
    ways = (
        (reverse("contact_edit", args=[anna.pk]), {"email": "anna@example.com"}),
        (reverse("contact_value", args=[anna.pk, f"attribute_{field.key}"]), {}),
    )
    for url, more in ways:
        refused = client.post(url, {**more, "attribute_own": bad}, headers={"HX-Request": "true"})
        assert refused.status_code == 422
        assert message in html.unescape(refused.text)
        client.post(url, {**more, "attribute_own": good}, headers={"HX-Request": "true"})
        anna.refresh_from_db()
        assert str(anna.attributes["own"]) == good
        Contact.objects.update(attributes={})


def test_a_value_that_no_longer_fits_stays_until_somebody_changes_it(sign_in, bob, workspace, plan):
    anna = a_contact(workspace, plan="Platinum")
    page = sign_in(bob).get(reverse("contact_edit", args=[anna.pk])).text
    assert '<option value="Platinum" selected>' in page
    answer = sign_in(bob).post(
        reverse("contact_edit", args=[anna.pk]), {"email": anna.email, "attribute_plan": "Platinum"}
    )
    assert answer.status_code == 422
    assert "none of the options: “Free”, “Plus”, “Pro”." in answer.text


def test_a_choice_is_taken_whatever_its_case():
    field = CustomField(type="choice", options=["Größe S", "M"])
    assert fitting.fit(field, "grösse s") == "Größe S"
    with pytest.raises(fitting.Unfit, match=r"“L” is none of the options: “Größe S”, “M”."):
        fitting.fit(field, "L")


def test_fields_are_moved_up_and_down_and_new_ones_come_last(sign_in, ada, workspace, city):
    age, zip_code = a_field(workspace, "Age"), a_field(workspace, "Zip")
    client = sign_in(ada)

    def order():
        return [each.label for each in CustomField.objects.of(workspace)]

    assert order() == ["Age", "City", "Zip"]
    client.post(reverse("field_move", args=[zip_code.pk]), {"to": "up"})
    assert order() == ["Age", "Zip", "City"]
    client.post(reverse("field_move", args=[age.pk]), {"to": "down"})
    assert order() == ["Zip", "Age", "City"]
    client.post(reverse("field_move", args=[zip_code.pk]), {"to": "up"})  # at the end it stays
    client.post(reverse("field_new"), {"label": "Aardvark", "type": "text"})
    assert order() == ["Zip", "Age", "City", "Aardvark"]


def test_counts_come_by_themselves(sign_in, carol, workspace, city, monkeypatch):
    a_contact(workspace, "a@example.com", city="Köln", gone="x")
    a_contact(workspace, "b@example.com", city="Bonn")
    a_contact(a_workspace("Elsewhere"), city="Bonn")
    text = sign_in(carol).get(reverse("field_counts")).text
    assert f'id="field-{city.pk}-count" hx-swap-oob="true">2<' in text
    monkeypatch.setattr("contacts.queries.fields.COUNTS", "SELECT 'city', 1 FROM pg_sleep(5) WHERE %s > 0")
    monkeypatch.setattr("contacts.views.fields.COUNT_SECONDS", 1)
    assert "too many to count here" in sign_in(carol).get(reverse("field_counts")).text


def test_the_page_names_the_segments_that_use_a_field(sign_in, carol, workspace, city):
    rules = {"join": "and", "rules": [{"subject": "attribute:city", "operator": "is", "value": "Köln"}]}
    Segment.objects.create(workspace=workspace, name="Cologne", rules=rules)
    assert "Cologne" in sign_in(carol).get(reverse("fields")).text
