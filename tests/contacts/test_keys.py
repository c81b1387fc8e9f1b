"""What contacts and subscriptions name is there and stays, whoever writes: asked of the database itself."""

import pytest
from django.db import IntegrityError, connection, transaction

from accounts.models import Workspace
from contacts.models import Contact, List, Subscription
from tests.at_once import beside, until_waited_for
from tests.builders import a_contact, a_list

pytestmark = pytest.mark.django_db


def subscribed(contact, news, **other):
    keys = {"workspace_id": contact.workspace_id, "contact_id": contact.pk, "list_id": news.pk} | other
    return Subscription(status="subscribed", consent_source="Form", **keys)


def refused(deed):
    """Whether the database refuses it, at the latest when it would be committed."""
    try:
        with transaction.atomic():
            deed()
            with connection.cursor() as cursor:
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    except IntegrityError as error:
        return error.__cause__.sqlstate == "23503"  # foreign_key_violation
    return False


def deleted(model, pk):
    """By a statement of its own, as the ORM takes along what names it."""
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {model._meta.db_table} WHERE id = %s", [pk])
        return cursor.rowcount


def test_a_contact_is_of_a_workspace_that_is_there(workspace):
    contacts = [Contact(workspace_id=pk, email=f"{pk}@example.com") for pk in (workspace.pk, 2**40)]
    assert refused(lambda: Contact.objects.bulk_create(contacts))
    assert not Contact.objects.exists()


def test_a_subscription_is_to_a_list_of_its_own_workspace(workspace, mallory):
    anna, theirs = a_contact(workspace), a_list(mallory.workspaces.get())
    assert refused(lambda: subscribed(anna, theirs).save())
    assert refused(lambda: subscribed(anna, theirs, list_id=2**40).save())
    assert refused(lambda: subscribed(anna, a_list(workspace), contact_id=2**40).save())
    assert not Subscription.objects.exists()


def test_neither_moves_to_another_workspace_or_list(workspace, mallory):
    news, offers, other = a_list(workspace), a_list(workspace, "Offers"), mallory.workspaces.get()
    anna = a_contact(workspace, subscribed_to=[news])
    held = Subscription.objects.filter(contact=anna)
    assert refused(lambda: Contact.objects.filter(pk=anna.pk).update(workspace=other))
    assert refused(lambda: held.update(workspace=other))
    assert refused(lambda: held.update(list=offers))
    held.update(list=news)
    anna.save()


def test_what_is_named_stays(workspace):
    news = a_list(workspace)
    anna = a_contact(workspace, subscribed_to=[news])
    assert refused(lambda: deleted(List, news.pk))
    assert refused(lambda: deleted(Contact, anna.pk))
    Subscription.objects.all().delete()
    assert not refused(lambda: deleted(List, news.pk))
    assert not refused(lambda: deleted(Contact, anna.pk))
    bare = Workspace.objects.create(name="Bare")
    ben = a_contact(bare, "ben@example.com")
    assert refused(lambda: deleted(Workspace, bare.pk))
    ben.delete()
    assert not refused(lambda: deleted(Workspace, bare.pk))


def test_a_workspace_goes_with_all_that_is_in_it(workspace):
    a_contact(workspace, subscribed_to=[a_list(workspace)])
    assert not refused(workspace.delete)
    assert not Contact.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("first", ["subscribing", "deleting"])
def test_of_two_at_once_that_subscribe_and_delete_the_second_is_refused(workspace, first):
    """Whoever comes second waits for the first one's commit."""
    news, anna = a_list(workspace), a_contact(workspace)
    deeds = [lambda: subscribed(anna, news).save(), lambda: deleted(List, news.pk)]
    if first == "deleting":
        deeds.reverse()
    with transaction.atomic():
        deeds[0]()
        second = beside(refused, deeds[1])
        until_waited_for()
    assert second.result(30)
    assert List.objects.exists() == Subscription.objects.exists() == (first == "subscribing")
