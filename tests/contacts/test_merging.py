"""Two contacts become one: what each had is kept, and no consent is made up."""

import datetime
import threading

import pytest
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry
from contacts.actions import merging as actions
from contacts.models import Contact, FormerContact, Subscription, Suppression
from contacts.queries.erasure import refused_addresses
from delivery.links import unsubscribe_token
from delivery.models import Delivery, Mailing
from tests.at_once import beside, until_waited_for
from tests.builders import a_contact, a_field, a_list, a_tag, an_account

NOW = timezone.now()


@pytest.fixture
def anna(workspace):
    return a_contact(workspace, "anna@example.com", first_name="Anna", city="Köln")


@pytest.fixture
def ann(workspace):
    return a_contact(workspace, "ann@old.example", first_name="Ann", last_name="Smith", city="Bonn", age=30)


def url_of(kept, gone=None):
    url = reverse("contact_merge", args=[kept.pk])
    return f"{url}?other={gone.pk}" if gone else url


def held(contact, news, status, *, days=0, source="Form"):
    at = NOW - datetime.timedelta(days=days)
    left = {"unsubscribed_at": at, "unsubscribe_source": source} if status == "unsubscribed" else {}
    return Subscription.objects.create(
        workspace=contact.workspace, contact=contact, list=news, status=status, consent_source=f"Of {contact}",
        consent_at=at, **left,
    )  # fmt: skip


def test_the_other_one_is_found_and_both_stand_side_by_side(sign_in, bob, workspace, anna, ann):
    a_field(workspace)
    client = sign_in(bob)
    found = client.get(url_of(anna), {"q": "ann"}).text
    assert f"?other={ann.pk}" in found
    assert f"?other={anna.pk}" not in found
    page = client.get(url_of(anna, ann)).text
    for shown in ("ann@old.example", "anna@example.com", "Köln", "Bonn", "Smith"):
        assert shown in page
    assert Contact.objects.count() == 2


def test_each_value_is_taken_from_where_one_chose(sign_in, bob, workspace, anna, ann):
    a_field(workspace)
    ann.created_at = NOW - datetime.timedelta(days=900)
    ann.save()
    chosen = {
        "take_email": "gone",
        "take_first_name": "kept",
        "take_last_name": "kept",
        "take_attribute_city": "gone",
    }
    answer = sign_in(bob).post(url_of(anna, ann), chosen)
    assert answer.url == reverse("contact", args=[anna.pk])
    left = Contact.objects.get()
    assert (left.pk, left.email, left.first_name, left.last_name) == (
        anna.pk,
        "ann@old.example",
        "Anna",
        "Smith",
    )
    assert left.attributes == {"city": "Bonn", "age": 30}
    assert left.created_at == ann.created_at
    former = FormerContact.objects.get()
    assert (former.contact_id, former.former_id, former.email) == (anna.pk, ann.pk, "anna@example.com")
    assert AuditEntry.objects.get(verb="contact.merged").user == bob


@pytest.mark.parametrize(
    ("mine", "theirs", "winner"),
    [
        (("subscribed", 5), ("unsubscribed", 9), "theirs"),  # they left by themselves, however long ago
        (("unsubscribed", 5), ("subscribed", 1), "mine"),
        (("unsubscribed", 5), ("unsubscribed", 1), "theirs"),  # the last time they left
        (("subscribed", 5), ("subscribed", 9), "theirs"),  # the first record of consent
        (("subscribed", 9), ("subscribed", 5), "mine"),
        (("subscribed", 5), ("pending", 9), "mine"),
        (("pending", 5), ("subscribed", 9), "theirs"),
        (("by hand", 5), ("subscribed", 9), "theirs"),  # the other address did agree
        (("by hand", 5), ("pending", 9), "mine"),
        (("by hand", 5), ("unsubscribed", 9), "theirs"),
    ],
)
def test_on_a_list_that_both_are_on_the_safest_holds(workspace, bob, anna, ann, mine, theirs, winner):
    news = a_list(workspace)
    rows = {}
    for name, contact, (status, days) in (("mine", anna, mine), ("theirs", ann, theirs)):
        source = "Taken off by hand by Bob" if status == "by hand" else "The link in “May”"
        status = "unsubscribed" if status == "by hand" else status
        rows[name] = held(contact, news, status, days=days, source=source)
    actions.merge(anna, ann, taken=set(), by=bob)
    left = Subscription.objects.get()
    assert left.pk == rows[winner].pk
    assert left.contact_id == anna.pk


def test_lists_tags_and_messages_are_joined(workspace, bob, anna, ann):
    news, club = a_list(workspace), a_list(workspace, "Club")
    held(anna, news, "subscribed")
    held(ann, club, "pending")
    a_tag(workspace, "VIP", anna, ann)
    a_tag(workspace, "Fair", ann)
    account = an_account(workspace)
    march, april = (
        Mailing.objects.create(
            workspace=workspace, name=name, account=account, content={}, sample_contact=ann
        )
        for name in ("March", "April")
    )
    Delivery.objects.create(mailing=march, number=1, contact=anna, email=anna.email, state="accepted")
    Delivery.objects.create(
        mailing=march, number=2, contact=ann, email=ann.email, state="rejected", code="550"
    )
    Delivery.objects.create(mailing=april, number=1, contact=ann, email=ann.email, state="accepted")
    actions.merge(anna, ann, taken=set(), by=bob)
    anna.refresh_from_db()
    assert {(each.list, each.status) for each in anna.subscriptions.all()} == {
        (news, "subscribed"),
        (club, "pending"),
    }
    assert len(anna.tag_ids) == 2
    assert Delivery.objects.get(mailing=april).contact_id == anna.pk
    assert Delivery.objects.filter(mailing=march).count() == 2  # both facts stay
    assert set(Mailing.objects.values_list("sample_contact", flat=True)) == {anna.pk}


def test_the_page_shows_both_ones_messages_and_the_old_address_leads_there(
    sign_in, carol, workspace, bob, anna, ann
):
    mailing = Mailing.objects.create(
        workspace=workspace, name="March", account=an_account(workspace), content={}
    )
    for number, contact in enumerate((anna, ann), 1):
        Delivery.objects.create(
            mailing=mailing,
            number=number,
            contact=contact,
            email=contact.email,
            state="accepted",
            settled_at=NOW,
        )
    old = reverse("contact", args=[ann.pk])
    actions.merge(anna, ann, taken=set(), by=bob)
    assert sign_in(carol).get(old).url == reverse("contact", args=[anna.pk])
    text = sign_in(carol).get(reverse("contact", args=[anna.pk])).text
    assert text.count("Message “March”") == 2
    assert "To ann@old.example." in text
    assert "Merged with another contact" in text


@pytest.mark.parametrize("number", [1, 2])
def test_the_unsubscribe_links_of_both_work(client, workspace, bob, anna, ann, number):
    news = a_list(workspace)
    held(anna, news, "subscribed")
    mailing = Mailing.objects.create(
        workspace=workspace, name="March", account=an_account(workspace), content={}, list_ids=[news.pk]
    )
    for at, contact in enumerate((anna, ann), 1):
        Delivery.objects.create(
            mailing=mailing, number=at, contact=contact, email=contact.email, state="accepted"
        )
    actions.merge(anna, ann, taken=set(), by=bob)
    client.post(reverse("unsubscribe_one_click", args=[unsubscribe_token(mailing.pk, number)]))
    assert Subscription.objects.get().status == "unsubscribed"


def test_who_got_it_once_does_not_get_it_twice(workspace, bob, anna, ann):
    from delivery.pipeline.load import load

    news = a_list(workspace)
    held(anna, news, "subscribed")
    mailing = Mailing.objects.create(
        workspace=workspace, name="March", account=an_account(workspace), content={}, list_ids=[news.pk]
    )
    for at, contact in enumerate((anna, ann), 1):
        Delivery.objects.create(mailing=mailing, number=at, contact=contact, email=contact.email)
    actions.merge(anna, ann, taken=set(), by=bob)
    loaded = load(mailing, type("Lease", (), {"first": 1, "last": 2})())
    assert [each.number for each in loaded.recipients] == [1]
    assert loaded.skipped == {2: "erased"}


@pytest.mark.parametrize(
    ("reason", "holds"),
    [("unsubscribed", True), ("complaint", True), ("hard_bounce", False), ("manual", False)],
)
def test_a_wish_for_no_mail_holds_for_the_address_that_is_left(workspace, bob, anna, ann, reason, holds):
    Suppression.objects.create(workspace=workspace, email=ann.email, reason=reason)
    actions.merge(anna, ann, taken=set(), by=bob)
    assert Suppression.objects.filter(email=ann.email).exists()
    assert Suppression.objects.filter(email=anna.email).exists() is holds


def test_of_three_the_last_one_has_everything(workspace, bob, anna, ann):
    third = a_contact(workspace, "a@third.example")
    actions.merge(anna, ann, taken=set(), by=bob)
    actions.merge(third, anna, taken=set(), by=bob)
    formers = FormerContact.objects.order_by("at").values_list("contact_id", "former_id", "email")
    assert set(formers) == {
        (third.pk, ann.pk, "ann@old.example"),
        (third.pk, anna.pk, "anna@example.com"),
    }


def test_itself_or_another_workspaces_is_refused(sign_in, bob, mallory, anna, ann):
    theirs = a_contact(mallory.workspaces.get(), "x@example.com")
    client = sign_in(bob)
    assert "This is the same contact." in client.post(url_of(anna, anna)).text
    for other in (theirs, type("Gone", (), {"pk": 10**12})()):
        assert client.get(url_of(anna, other)).status_code == 404
        assert client.post(url_of(anna, other)).status_code == 404
    assert sign_in(mallory).post(url_of(anna, ann)).status_code == 404
    for kept, gone in ((anna, anna), (anna, theirs)):
        with pytest.raises(actions.CannotMerge):
            actions.merge(kept, gone, taken=set(), by=bob)
    assert Contact.objects.count() == 3


def test_one_that_was_merged_meanwhile_is_refused(workspace, bob, anna, ann):
    third = a_contact(workspace, "third@example.com")
    actions.merge(anna, ann, taken=set(), by=bob)
    with pytest.raises(actions.CannotMerge, match="was merged or deleted meanwhile"):
        actions.merge(third, ann, taken=set(), by=bob)


def test_a_viewer_may_not(sign_in, carol, anna, ann):
    assert sign_in(carol).post(url_of(anna, ann)).status_code == 403


def test_erasing_who_was_merged_takes_both_addresses(workspace, bob, ada, anna, ann):
    from contacts.actions.erasure import erase

    mailing = Mailing.objects.create(
        workspace=workspace, name="March", account=an_account(workspace), content={}
    )
    for at, contact in enumerate((anna, ann), 1):
        Delivery.objects.create(
            mailing=mailing, number=at, contact=contact, email=contact.email, state="accepted"
        )
    actions.merge(anna, ann, taken=set(), by=bob)
    anna.refresh_from_db()
    erase(anna, by=ada)
    assert set(Delivery.objects.values_list("email", "contact_id")) == {("", None)}
    emails = ["anna@example.com", "ann@old.example"]
    assert refused_addresses(workspace, emails) == set(emails)


@pytest.mark.django_db(transaction=True)
def test_two_merges_at_once_wait_for_each_other(workspace, bob, anna, ann):
    """Each wants the other one gone; one of them is refused, and one contact is left."""
    begin = threading.Barrier(2, timeout=10)

    def merge(kept, gone):
        begin.wait()
        try:
            actions.merge(kept, gone, taken=set(), by=bob)
        except actions.CannotMerge:
            return "refused"
        return "merged"

    both = [beside(merge, anna, ann), beside(merge, ann, anna)]
    assert sorted(each.result(20) for each in both) == ["merged", "refused"]
    assert Contact.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_an_erasure_waits_for_whoever_is_writing_contacts(workspace, ada, anna):
    """What an import asked for still holds when it writes: the erasure comes after it or before it."""
    from contacts.actions.erasure import erase

    with transaction.atomic():
        assert refused_addresses(workspace, ["anna@example.com"]) == set()
        erasing = beside(lambda: erase(anna, by=ada))
        until_waited_for()
    erasing.result(20)
    with transaction.atomic():
        assert refused_addresses(workspace, ["anna@example.com"]) == {"anna@example.com"}
