import pytest
from django.db import transaction

from accounts.models import AuditEntry
from contacts.actions.subscriptions import subscribe, unsubscribe, unsubscribe_from_everything
from contacts.actions.suppression import suppress
from contacts.models import Contact, Subscription, Suppression
from tests.builders import a_contact, a_list
from tests.people import a_workspace


@pytest.fixture
def lists(workspace):
    return [a_list(workspace, name) for name in ("News", "Offers", "Events")]


@pytest.fixture
def anna(workspace, lists):
    return a_contact(workspace, "Anna@example.com", subscribed_to=lists[:2])


def statuses(contact):
    return dict(contact.subscriptions.order_by("list__pk").values_list("list__name", "status"))


def test_subscribing_counts_what_changed_and_keeps_older_consent(anna, lists, bob):
    assert subscribe(anna, lists=lists, source="Form", by=bob, ip="192.0.2.7") == 1
    held = {each.list.name: each for each in anna.subscriptions.select_related("list")}
    assert (held["Events"].consent_source, held["Events"].consent_ip) == ("Form", "192.0.2.7")
    assert held["News"].consent_source == "Form on the web site"
    assert subscribe(anna, lists=lists, source="Again") == 0
    assert subscribe(anna, lists=[], source="Nothing") == 0
    assert AuditEntry.objects.filter(verb="contact.subscribed").count() == 1


def test_a_pending_subscription_becomes_a_full_one(anna, lists):
    Subscription.objects.filter(contact=anna).update(status="pending", consent_at=None)
    assert subscribe(anna, lists=lists[:1], source="Confirmed") == 1
    assert statuses(anna) == {"News": "subscribed", "Offers": "pending"}


def test_a_list_of_another_workspace_is_not_subscribed_to(anna):
    assert subscribe(anna, lists=[a_list(a_workspace("Elsewhere"))], source="Form") == 0


def test_unsubscribing_names_lists_or_means_all(anna, lists):
    assert unsubscribe(anna, lists=lists[1:], source="Link", ip="192.0.2.7") == 1  # never was on Events
    assert statuses(anna) == {"News": "subscribed", "Offers": "unsubscribed"}
    assert anna.subscriptions.get(list=lists[1]).unsubscribe_source == "Link, from 192.0.2.7"
    assert unsubscribe(anna, lists=[], source="Link") == 1
    assert unsubscribe(anna, source="Link") == 0


def test_leaving_everything_suppresses_the_address_within_a_transaction_of_the_callers(anna, workspace):
    with transaction.atomic(durable=True):
        assert unsubscribe_from_everything(anna, source="Link in “May”") == 2
    suppressed = workspace.suppressions.get()
    assert (suppressed.email, suppressed.reason) == ("anna@example.com", "unsubscribed")
    assert suppressed.note == "Link in “May”"
    assert not Contact.objects.sendable().exists()
    assert unsubscribe_from_everything(anna, source="Once more") == 0


def test_the_first_reason_of_a_suppression_stays(workspace):
    assert suppress(workspace, email="Ann@Example.com", reason="complaint", note="x" * 900)
    assert not suppress(workspace, email="ann@example.COM", reason="manual")
    assert workspace.suppressions.get().reason == "complaint"


def test_a_suppressed_address_with_capitals_beyond_ascii_is_not_sendable(workspace, lists):
    contact = a_contact(workspace, "ÉLAN@example.com", subscribed_to=lists)
    suppress(workspace, email=contact.email, reason="manual")
    assert not Contact.objects.sendable().exists()


def test_what_was_put_in_by_hand_gives_way_to_what_the_person_did(workspace):
    for reason, note in (("manual", "old customer"), ("complaint", "said so"), ("manual", "again")):
        suppress(workspace, email="anna@example.com", reason=reason, note=note)
    held = Suppression.objects.get()
    assert (held.reason, held.note) == ("complaint", "said so. Before: old customer")
