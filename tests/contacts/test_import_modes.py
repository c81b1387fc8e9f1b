"""What an import does to people who are here, by mode; tags, choices and statuses."""

import pytest

from contacts.actions import imports as actions
from contacts.actions.imports import NewField
from contacts.actions.tags import named
from contacts.models import Contact, CustomField, ImportState, Subscription, Suppression, Tag
from contacts.spreadsheet import split_tags
from tests.builders import a_contact, a_field
from tests.contacts.imports import carried_out, counts

FILE = "email,first_name,city,age\nanna@example.com,,Paris,\nNEW@example.com,Ned,Rome,30\n"


def tags_of(email):
    pks = Contact.objects.get(email=email).tag_ids
    return sorted(Tag.objects.filter(pk__in=pks).values_list("name", flat=True))


@pytest.mark.parametrize(
    ("mode", "first_name", "attributes", "outcome"),
    [
        ("fill", "Anna", {"city": "Paris", "age": 41, "vip": True}, {"updated": 1}),
        ("add", "Anna", {"city": "Oslo", "age": 41, "vip": True}, {"unchanged": 1}),
        ("overwrite", "", {"city": "Paris", "vip": True}, {"updated": 1}),
    ],
)
def test_each_mode_treats_who_is_here_in_its_way(
    an_import, workspace, news, mode, first_name, attributes, outcome
):
    for label, kind in (("City", "text"), ("Age", "number")):
        a_field(workspace, label, type=kind)
    a_contact(workspace, "anna@example.com", first_name="Anna", last_name="A", city="Oslo", age=41, vip=True)
    run = carried_out(an_import(FILE, mode=mode, lists=[news], tags=["Fair"] if mode == "none" else []))
    anna = Contact.objects.get(email="anna@example.com")
    assert (anna.first_name, anna.last_name, anna.attributes) == (first_name, "A", attributes)
    assert counts(run) == {"row": 2, "people": 2, "created": 1, **outcome}
    assert news.subscriptions.count() == 2  # whatever the mode
    assert Contact.objects.get(email="NEW@example.com").attributes == {"city": "Rome", "age": 30}


def test_in_a_file_that_overwrites_the_last_row_of_a_person_counts(an_import):
    run = carried_out(
        an_import("email,first_name,city\na@example.com,Ann,Rome\nA@example.com,,Oslo\n", mode="overwrite")
    )
    contact = Contact.objects.get()
    assert (contact.first_name, contact.attributes) == ("", {"city": "Oslo"})
    assert counts(run) == {"row": 2, "people": 1, "created": 1, "repeated": 1}


def test_who_is_as_the_file_says_is_not_written(an_import, workspace):
    a_field(workspace, "City")
    anna = a_contact(workspace, "anna@example.com", first_name="Anna", city="Paris")
    run = carried_out(an_import("email,first_name,city\nanna@example.com,Anna,Paris\n"))
    assert counts(run) == {"row": 1, "people": 1, "unchanged": 1}
    assert Contact.objects.get().updated_at == anna.updated_at


def test_everybody_gets_the_tags_that_were_typed_and_those_of_their_cell(an_import, workspace, bob):
    anna = a_contact(workspace, "anna@example.com")
    old = named(workspace, ["vip"], by=bob)[0]
    Contact.objects.filter(pk=anna.pk).update(tag_ids=[old.pk])
    rows = 'email,tags\nanna@example.com,"VIP, Press"\nben@example.com,press; Fair 2026\ncleo@example.com,\n'
    run = an_import(rows, tags=["Fair 2026"], mode="add", started=False)
    assert run.findings["new_tags"] == ["Fair 2026", "Press"]
    assert not Tag.objects.filter(name="Press").exists()
    actions.start(run, by=bob)
    run = carried_out(run)
    assert tags_of("anna@example.com") == ["Fair 2026", "Press", "vip"]
    assert tags_of("ben@example.com") == ["Fair 2026", "Press"]
    assert tags_of("cleo@example.com") == ["Fair 2026"]
    assert counts(run) == {"row": 3, "people": 3, "created": 2, "updated": 1}
    assert Tag.objects.count() == 3


def test_too_many_different_tags_are_a_sign_of_a_wrong_column(an_import):
    rows = "".join(f"u{number}@example.com,word{number}\n" for number in range(501))
    run = an_import("email,tags\n" + rows, started=False)
    assert run.state == ImportState.MAPPING
    assert "more than 500 different ones" in run.error


def test_a_tag_that_is_too_long_refuses_its_row(an_import):
    run = an_import(f"email,tags\na@example.com,{'x' * 61}\n", started=False)
    assert "longer than 60 characters" in run.refusals.get().reason


@pytest.mark.parametrize(
    ("cell", "tags"),
    [
        ("a, B ;a;; A", ["a", "B"]),
        ("", []),
        (" one  two ", ["one two"]),
        ("ß,SS", ["ß"]),
        ('"vip","2024"', ["vip", "2024"]),  # as Mailchimp writes them
        ('"Vienna, Austria"; vip', ["Vienna, Austria", "vip"]),
        ('5" pipe, "open', ['5" pipe', '"open']),
        ('"",a', ["a"]),
        ('"the ""best"" ones";b', ['the "best" ones', "b"]),
        ("'=a; 'tis", ["=a", "'tis"]),
    ],
)
def test_a_cell_of_tags_is_split(cell, tags):
    assert split_tags(cell) == tags


def test_a_cell_that_is_none_of_the_choices_refuses_its_row(an_import, workspace):
    CustomField.objects.create(
        workspace=workspace, key="plan", label="Plan", type="choice", options=["Gold", "Silver"]
    )
    run = carried_out(
        an_import("email,plan\na@example.com,gold\nb@example.com,Bronze\nc@example.com,\nd@example.com,n/a\n")
    )
    assert (
        run.refusals.get().reason
        == "Plan: “Bronze” is none of its options (Gold, Silver). Add it to the field, or let the import add new options."
    )
    assert dict(Contact.objects.values_list("email", "attributes")) == {
        "a@example.com": {"plan": "Gold"}, "c@example.com": {}, "d@example.com": {},
    }  # fmt: skip


def test_a_choice_takes_the_options_of_the_file_where_that_is_asked_for(an_import, workspace):
    field = CustomField.objects.create(
        workspace=workspace, key="plan", label="Plan", type="choice", options=["Gold", "Silver"]
    )
    rows = "email,plan\na@example.com,gold\nb@example.com,Bronze\nc@example.com,BRONZE\n"
    run = an_import(rows, columns=["email", "attribute:plan"], adds_options=True, started=False)
    assert run.findings["more_options"] == {"plan": ["Bronze"]}
    field.refresh_from_db()
    assert field.options == ["Gold", "Silver"], "a check changes nothing"
    actions.start(run, by=run.created_by)
    carried_out(run)
    field.refresh_from_db()
    assert field.options == ["Gold", "Silver", "Bronze"]
    assert [each.attributes["plan"] for each in Contact.objects.order_by("email")] == [
        "Gold",
        "Bronze",
        "Bronze",
    ]


def test_a_choice_grows_by_fifty_options_at_most(an_import, workspace):
    CustomField.objects.create(workspace=workspace, key="plan", label="Plan", type="choice", options=["Gold"])
    rows = "".join(f"u{number}@example.com,Plan {number}\n" for number in range(52))
    run = an_import(
        f"email,plan\n{rows}z@example.com,{'long ' * 30}\n",
        columns=["email", "attribute:plan"],
        adds_options=True,
        started=False,
    )
    assert len(run.findings["more_options"]["plan"]) == 50
    assert sorted(run.refusals.values_list("row_number", "reason"))[0] == (
        52,
        "Plan: “Plan 50” would be one option too many: an import adds at most 50 to a field, which has at most 200.",
    )
    assert run.refused_count == 3


def test_an_option_that_the_import_added_must_not_go_while_it_runs(an_import, workspace):
    field = CustomField.objects.create(
        workspace=workspace, key="plan", label="Plan", type="choice", options=["Gold"]
    )
    columns = ["email", "attribute:plan"]
    run = an_import("email,plan\nb@example.com,Bronze\n", columns=columns, adds_options=True)
    CustomField.objects.filter(pk=field.pk).update(options=["Gold"])
    assert "was changed after the file was checked" in carried_out(run).error
    assert not Contact.objects.exists()


def test_a_new_choice_gathers_its_options_from_the_whole_file(an_import, workspace):
    rows = "".join(
        f"u{number}@example.com,{('Gold', 'silver', 'GOLD')[number % 3]}\n" for number in range(300)
    )
    run = an_import("email,plan\n" + rows + "z@example.com,Bronze\n", started=False)
    assert not CustomField.objects.exists()
    actions.start(run, by=run.created_by)
    carried_out(run)
    field = CustomField.objects.get()
    assert (field.type, field.options) == ("choice", ["Bronze", "Gold", "silver"])
    assert Contact.objects.get(email="u2@example.com").attributes == {"plan": "Gold"}


def test_a_choice_of_too_many_texts_becomes_a_text_field_with_every_cell_as_it_was(an_import):
    rows = "".join(f"u{number}@example.com,{'RED' if number == 1 else 'red'}\n" for number in range(210))
    rows += "".join(f"v{number}@example.com,colour {number}\n" for number in range(60))
    run = an_import("email,colour\n" + rows, columns=["email", NewField("Colour", "choice")], started=False)
    assert run.findings["became_text"] == ["Colour"]
    actions.start(run, by=run.created_by)
    assert carried_out(run).created_count == 270
    assert CustomField.objects.get().type == "text"
    assert Contact.objects.get(email="u1@example.com").attributes == {"colour": "RED"}


def test_the_unconfirmed_are_pending_and_nobody_else_changes(an_import, workspace, news):
    news.opt_in = "double"
    news.save()
    a_contact(workspace, "in@example.com", subscribed_to=[news])
    out = a_contact(workspace, "out@example.com", subscribed_to=[news])
    Subscription.objects.filter(contact=out).update(status="unsubscribed")
    Suppression.objects.create(workspace=workspace, email="never@example.com", reason="complaint")
    rows = "in@example.com\nout@example.com\nnever@example.com\nnew@example.com\n"
    run = carried_out(an_import("email\n" + rows, lists=[news], status="pending"))
    assert dict(news.subscriptions.values_list("contact__email", "status")) == {
        "in@example.com": "subscribed", "out@example.com": "unsubscribed", "new@example.com": "pending",
    }  # fmt: skip
    pending = news.subscriptions.get(status="pending")
    assert (pending.consent_at, pending.consent_source) == (None, "Import of people.csv by Bob")
    assert (run.held_count, run.subscribed_count) == (2, 1)


@pytest.mark.parametrize("mode", ["fill", "add", "overwrite"])
@pytest.mark.parametrize("status", ["subscribed", "pending"])
def test_no_import_ever_subscribes_who_left(an_import, workspace, news, mode, status):
    for email in ("left@example.com", "complained@example.com"):
        Subscription.objects.filter(contact=a_contact(workspace, email, subscribed_to=[news])).update(
            status="unsubscribed"
        )
    Suppression.objects.create(workspace=workspace, email="complained@example.com", reason="complaint")
    carried_out(
        an_import("email\nLEFT@example.com\ncomplained@example.com\n", lists=[news], mode=mode, status=status)
    )
    assert {*news.subscriptions.values_list("status", flat=True)} == {"unsubscribed"}


def test_a_second_import_of_such_a_file_uses_the_fields_of_the_first(an_import):
    both = [an_import("email,city\na@example.com,Rome\n", started=False) for _ in range(2)]
    for run in both:
        actions.start(run, by=run.created_by)
        assert carried_out(run).state == ImportState.DONE
    assert [field.key for field in CustomField.objects.all()] == ["city"]


@pytest.mark.parametrize(
    ("cell", "notation", "born"),
    [
        ("03/14", "us", "--03-14"),
        ("14/03", "uk", "--03-14"),
        ("14.03.", "us", "--03-14"),
        ("14. 3.", "eu", "--03-14"),
        ("--03-14", "eu", "--03-14"),
        ("--0314", "us", "--03-14"),
        ("'--03-14", "us", "--03-14"),  # as exports write it
        ("02/29", "us", "--02-29"),
        ("14/03", "us", None),
        ("--02-30", "us", None),
        ("14.03", "eu", None),
        ("3-14", "us", None),
    ],
)
def test_a_birthday_may_come_without_a_year(an_import, workspace, cell, notation, born):
    limits = {"min": "1950-01-01", "max": "2020-01-01"}
    CustomField.objects.create(workspace=workspace, key="born", label="Born", type="date", limits=limits)
    content = f"email,born\na@example.com,{cell}\n"
    run = carried_out(an_import(content, reading={"notation": notation}, columns=["email", "attribute:born"]))
    if born:
        assert Contact.objects.get().attributes == {"born": born}
    else:
        assert "is not a date" in run.refusals.get().reason
