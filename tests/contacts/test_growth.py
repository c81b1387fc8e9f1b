"""The lists' counts and days are right whoever writes subscriptions, folded or not."""

import random
import re
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import Count
from django.urls import reverse
from django.utils import timezone

from contacts.actions import growth as actions
from contacts.actions.subscriptions import subscribe, unsubscribe
from contacts.models import Contact, ListChange, ListDay, Subscription
from contacts.queries import growth as queries
from contacts.queries import lists
from tests.builders import a_contact, a_list

STATUSES = ("subscribed", "pending", "unsubscribed")


@pytest.fixture
def news(workspace):
    return a_list(workspace, "News")


def counted(workspace, held):
    counts = lists.counts(workspace, [held])[held.pk]
    return (counts.subscribed, counts.pending, counts.unsubscribed)


def true_counts(held):
    rows = dict(held.subscriptions.values_list("status").annotate(Count("pk")))
    return tuple(rows.get(status, 0) for status in STATUSES)


def grown(workspace, held, days=30):
    return queries.growth(held, subscribed=counted(workspace, held)[0], days=days)


def test_counts_hold_through_everything_that_happens_to_people(workspace, news):
    offers, dice = a_list(workspace, "Offers"), random.Random(7)
    people = [a_contact(workspace, f"p{number}@example.com") for number in range(60)]
    for turn in range(40):
        some = dice.sample(people, 9)
        match turn % 5:
            case 0:
                subscribe(some[0], lists=[news, offers], source="Form")
            case 1:
                unsubscribe(some[0], source="Link")
            case 2:
                held = Subscription.objects.filter(contact__in=some)
                held.update(status=dice.choice(STATUSES), unsubscribed_at=timezone.now())
            case 3:
                Subscription.objects.bulk_create(
                    [
                        Subscription(
                            workspace=workspace, contact=each, list=news, status=dice.choice(STATUSES)
                        )
                        for each in some
                    ],
                    ignore_conflicts=True,
                )
            case 4:
                Contact.objects.filter(pk=some[0].pk).delete()
                people.remove(some[0])
        if dice.random() < 0.4:
            actions.fold()
        for each in (news, offers):
            assert counted(workspace, each) == true_counts(each)
            assert grown(workspace, each).net == true_counts(each)[0]
    actions.fold()
    assert not ListChange.objects.exists()
    news.refresh_from_db()
    assert (news.subscribed_count, news.pending_count, news.unsubscribed_count) == true_counts(news)


def test_a_day_is_that_of_the_consent_and_of_the_leaving(workspace, news):
    now = timezone.now()
    anna, ben = a_contact(workspace, "anna@example.com"), a_contact(workspace, "ben@example.com")
    subscribe(anna, lists=[news], source="Form", at=now - timedelta(days=10))
    Subscription.objects.create(
        workspace=workspace,
        contact=ben,
        list=news,
        status="unsubscribed",
        consent_at=now - timedelta(days=20),
        unsubscribed_at=now - timedelta(days=5),
    )
    for _folded in (False, True):
        steps = {(now.date() - step.day).days: step for step in grown(workspace, news).steps if step.net}
        assert {age: (step.joined, step.left, step.total) for age, step in steps.items()} == {
            20: (1, 0, 1),
            10: (1, 0, 2),
            5: (0, 1, 1),
        }
        actions.fold()
    assert ListDay.objects.count() == 3


def test_what_was_before_the_chart_is_in_its_total(workspace, news):
    now = timezone.now()
    for number, age in enumerate((400, 200, 2)):
        contact = a_contact(workspace, f"p{number}@example.com")
        subscribe(contact, lists=[news], source="Form", at=now - timedelta(days=age))
    month, year = grown(workspace, news), grown(workspace, news, days=365)
    assert [month.steps[0].total, month.steps[-1].total, month.net] == [2, 3, 1]
    assert [year.steps[0].total, year.steps[-1].total, year.net] == [1, 3, 2]
    assert (len(month.steps), len(year.steps)) == (30, 53)
    assert month.steps[-1].day == month.until == year.until == now.date()
    assert grown(workspace, news, days=3650).steps[0].total == 0
    assert queries.gained([news]) == {news.pk: 1}


def test_asking_does_not_move_anybody(workspace, news):
    contact = a_contact(workspace)
    Subscription.objects.create(workspace=workspace, contact=contact, list=news, status="pending")
    before = ListChange.objects.count()
    Subscription.objects.update(confirmation_asked_at=timezone.now())
    assert ListChange.objects.count() == before


@pytest.mark.django_db(transaction=True)
def test_two_clocks_fold_each_change_once(workspace, at_once):
    news = a_list(workspace, "News")
    for turn in range(20):
        people = [a_contact(workspace, f"p{turn}-{number}@example.com") for number in range(3)]
        for each in people:
            subscribe(each, lists=[news], source="Form")
        taken = at_once(actions.fold, actions.fold)
        assert sum(taken) == 3
    actions.fold()
    news.refresh_from_db()
    assert news.subscribed_count == 60
    assert ListDay.objects.get().joined_count == 60


def test_a_deleted_list_takes_its_changes_with_it(workspace, news):
    a_contact(workspace, subscribed_to=[news])
    workspace.delete()
    assert ListChange.objects.exists()
    actions.fold()
    assert not ListChange.objects.exists()
    assert not ListDay.objects.exists()


def test_a_deed_over_many_rows_notes_one_change_a_list_and_day(workspace, news):
    people = Contact.objects.bulk_create(
        Contact(workspace=workspace, email=f"p{number}@example.com") for number in range(500)
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO contacts_subscription (workspace_id, contact_id, list_id, status, consent_source, "
            "consent_at, unsubscribe_source, created_at) "
            "SELECT workspace_id, id, %s, 'subscribed', '', now(), '', now() FROM contacts_contact",
            [news.pk],
        )
    assert len(people) == 500
    assert ListChange.objects.get().joined_count == 500


def test_the_chart_draws_the_days_on_which_something_happened_and_tells_all_of_them(
    sign_in, carol, workspace, news
):
    now = timezone.now()
    for number, age in enumerate((3, 3, 1)):
        contact = a_contact(workspace, f"p{number}@example.com")
        subscribe(contact, lists=[news], source="Form", at=now - timedelta(days=age))
    unsubscribe(contact, source="Link")
    page = sign_in(carol).get(reverse("list", args=[news.pk]), {"days": "30"})
    chart = page.context["chart"]
    assert chart.joined.count("M") == 2
    assert chart.joined.startswith("M260 66.67h8v-66.67h-8z")  # two of three steps' height, up from the axis
    assert chart.left == "M290 66.67h8v33.33h-8z"
    said = [
        f"{now - timedelta(days=age):%-d %b %Y}: +{joined}, -{left}, {total} subscribed"
        for age, joined, left, total in ((4, 0, 0, 0), (3, 2, 0, 2), (2, 0, 0, 2), (1, 1, 0, 3), (0, 0, 1, 2))
    ]
    assert re.findall(r"<title>(.*?)</title></rect>", page.text)[-5:] == said
