"""What an import says of consent: a date for each row, and people who are noted as having left."""

import datetime

import pytest
from django.urls import reverse
from django.utils import timezone

from contacts.actions import imports as actions
from contacts.actions.growth import fold
from contacts.actions.subscriptions import subscribe, unsubscribe
from contacts.importing import values
from contacts.models import Contact, Import, ListDay, Subscription, Suppression
from tests.builders import a_contact
from tests.contacts.importing import offered, upload
from tests.contacts.imports import carried_out, counts

MAILCHIMP = (
    "Email Address,OPTIN_TIME,OPTIN_IP,CONFIRM_TIME\n"
    "anna@example.com,2020-03-01 08:00:00,192.0.2.1,2020-03-02 09:30:00\n"
    "ben@example.com,,,\n"
)
VIENNA = datetime.timezone(datetime.timedelta(hours=1))


def consents():
    return dict(Subscription.objects.values_list("contact__email", "consent_at"))


def test_each_row_keeps_its_own_date_of_consent_and_an_empty_one_takes_the_imports(
    an_import, workspace, news
):
    workspace.time_zone = "Europe/Vienna"
    workspace.save()
    run = carried_out(an_import(MAILCHIMP, lists=[news]))
    assert run.mapping == ["email", "", "", "consent_at"]
    assert consents() == {
        "anna@example.com": datetime.datetime(2020, 3, 2, 9, 30, tzinfo=VIENNA),
        "ben@example.com": run.started_at,
    }
    assert {each.created_at for each in Subscription.objects.all()} == {run.started_at}
    fold()
    joined = dict(ListDay.objects.filter(list=news).values_list("day", "joined_count"))
    assert joined == {datetime.date(2020, 3, 2): 1, run.started_at.astimezone(datetime.UTC).date(): 1}


def test_of_a_persons_rows_the_last_filled_date_counts(an_import, news):
    carried_out(
        an_import(
            "email,consent date\na@example.com,2020-01-01\na@example.com,2021-01-01\na@example.com,\n",
            lists=[news],
        )
    )
    assert consents()["a@example.com"].year == 2021


def test_a_date_in_the_future_refuses_its_row_and_one_of_another_zone_does_not(an_import, news):
    soon, later = (timezone.now() + datetime.timedelta(hours=hours) for hours in (3, 48))
    run = carried_out(
        an_import(
            f"email,joined\na@example.com,{soon.isoformat()}\nb@example.com,{later.isoformat()}\nc@example.com,soon\n",
            columns=["email", "consent_at"],
            lists=[news],
        )
    )
    assert list(run.refusals.values_list("row_number", "reason")) == [
        (3, f"Consent date: “{later.isoformat()}” is in the future."),
        (4, "Consent date: “soon” is not a date."),
    ]
    assert consents()["a@example.com"] <= run.started_at


def test_people_with_dates_of_their_own_are_taken_back_but_who_agreed_anew(an_import, bob, news):
    run = carried_out(an_import(MAILCHIMP, lists=[news]))
    ben = Contact.objects.get(email="ben@example.com")
    unsubscribe(ben, lists=[news], source="Link in a mail")
    subscribe(ben, lists=[news], source="Form on the web site")
    actions.undo(run, by=bob)
    carried_out(run)
    assert [*consents()] == ["ben@example.com"]


def test_a_column_that_only_is_called_like_a_date_is_no_date_of_consent(sign_in, bob):
    client = sign_in(bob)
    upload(client, b"email,subscribed on\na@example.com,the web\nb@example.com,a fair\n")
    run = Import.objects.latest("pk")
    assert offered(client, run)["column_1"].startswith("new:")


@pytest.mark.parametrize(
    ("text", "notation", "found"),
    [
        ("2024-01-31T09:05:00Z", "us", "2024-01-31T09:05:00+00:00"),
        ("2024-01-31 09:05:07+0200", "us", "2024-01-31T09:05:07+02:00"),
        ("1/31/2024 9:05 PM", "us", "2024-01-31T21:05:00+01:00"),
        ("1/31/2024 12:05 a.m.", "us", "2024-01-31T00:05:00+01:00"),
        ("31.01.2024 9:05", "eu", "2024-01-31T09:05:00+01:00"),
        ("2024-01-31", "us", "2024-01-31T00:00:00+01:00"),
        ("2024-01-31 10:00 UTC", "us", "2024-01-31T10:00:00+00:00"),
        ("n/a", "us", None),
    ],
)
def test_times_are_read_as_people_write_them(text, notation, found):
    moment = values.moment(text, notation, VIENNA)
    assert (moment and moment.isoformat()) == found


@pytest.mark.parametrize(
    "text", ["31.12.", "12/31", "2024-01-31 25:00", "2024-13-01 10:00", "yesterday", "9:05"]
)
def test_what_is_no_time_is_said_to_be_none(text):
    with pytest.raises(values.NotThat):
        values.moment(text, "us", VIENNA)


LEFT = "email\nin@example.com\nnew@example.com\nbad@example.com\n"


def test_people_who_left_elsewhere_are_noted_and_no_later_import_subscribes_them(
    an_import, bob, workspace, news
):
    a_contact(workspace, "in@example.com", subscribed_to=[news])
    Suppression.objects.create(workspace=workspace, email="bad@example.com", reason="complaint")
    run = carried_out(an_import(LEFT, lists=[news], status="unsubscribed"))
    assert counts(run) == {"row": 3, "people": 3, "created": 2, "unchanged": 1}
    assert run.subscribed_count == 2
    stand = dict(Subscription.objects.values_list("contact__email", "status"))
    assert stand == {
        "in@example.com": "subscribed", "new@example.com": "unsubscribed", "bad@example.com": "unsubscribed",
    }  # fmt: skip
    noted = Subscription.objects.get(contact__email="new@example.com")
    assert (noted.consent_at, noted.unsubscribed_at) == (None, run.started_at)
    assert noted.left_by_themselves
    again = carried_out(an_import("email\nnew@example.com\n", lists=[news]))
    assert (again.held_count, again.subscribed_count) == (1, 0)
    actions.undo(run, by=bob)
    carried_out(run)
    assert [*Subscription.objects.values_list("contact__email", flat=True)] == ["in@example.com"]


def test_the_pages_say_what_it_means_to_import_people_as_unsubscribed(sign_in, bob, news):
    client = sign_in(bob)
    upload(client, b"email\nnew@example.com\n")
    run = Import.objects.latest("pk")
    data = offered(client, run) | {"status": "unsubscribed"}
    refused = client.post(reverse("import_map", args=[run.pk]), data)
    assert "Tick the lists that they left." in refused.text
    assert "so that no later import subscribes them" in refused.text
    assert client.post(reverse("import_map", args=[run.pk]), data | {"lists": [news.pk]}).status_code == 302
    carried_out(run)
    page = client.get(reverse("import", args=[run.pk]))
    assert "1 person as unsubscribed" in " ".join(page.text.split())
