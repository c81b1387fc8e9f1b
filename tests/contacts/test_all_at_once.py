"""Two imports, bulk actions, a merged and a deleted tag, a field, merging and erasing, all over the same people at once."""

import random

import pytest
from django.core.files.base import ContentFile
from django.db.models import Count

from contacts.actions import bulk, erasure, fields, growth, merging, tags
from contacts.actions import imports as actions
from contacts.actions.bulk import Plan, Whom
from contacts.chosen import of_finder
from contacts.importing import stage
from contacts.jobs import run_bulk, run_import
from contacts.models import BulkRun, Contact, Import, List
from contacts.queries.contacts import Finder
from contacts.queries.erasure import refused_addresses
from tests.at_once import beside
from tests.builders import a_contact, a_field, a_list, a_tag

PEOPLE = 1500


def a_started_import(workspace, by, lists, numbers):
    rows = "".join(f"p{number}@example.com,Town {number},vip\n" for number in numbers)
    file = ContentFile(f"email,city,tags\n{rows}".encode(), name="people.csv")
    run = actions.upload(file, workspace=workspace, by=by)
    reading = actions.reader.guess(ContentFile(file.file.getvalue()))
    plan = actions.Plan(
        reading, ["email", "attribute:city", "tags"], lists=lists, consent_note="Form", tags=["Fair"]
    )
    actions.check(run, plan, by=by)
    run_import(import_id=run.pk)
    run.refresh_from_db()
    actions.start(run, by=by)
    return run


@pytest.mark.django_db(transaction=True)
def test_whatever_meets_over_the_same_people_ends_well(workspace, ada, monkeypatch):
    monkeypatch.setattr(stage, "SLICE_ROWS", 50)
    monkeypatch.setattr("contacts.bulk.run.CHUNK_PEOPLE", 60)
    dice = random.Random(11)
    news, old, new = a_list(workspace), a_tag(workspace, "Old"), a_tag(workspace, "New")
    a_field(workspace)
    size = a_field(workspace, "Size")
    order = dice.sample(range(PEOPLE), PEOPLE)  # ids and addresses stand in different orders
    people = [a_contact(workspace, f"p{number}@example.com", city="Bonn", size="L") for number in order]
    Contact.objects.update(tag_ids=[old.pk])
    imports = [
        a_started_import(workspace, ada, [news], sorted(range(PEOPLE + 100), reverse=bool(turn)))
        for turn in range(2)
    ]
    everybody = Whom(of_finder(Finder()), "All")
    plans = [
        Plan("add_to_list", "x", {"list": news.pk}, agreed=True),
        Plan("add_tags", "x", {"tags": [new.pk]}),
        Plan("unsubscribe", "x", {}),
    ]
    deeds = [bulk.ask(workspace, plan, everybody, by=ada) for plan in plans]
    gone = people[:6]
    work = [
        *(lambda run=run: run_import(import_id=run.pk) for run in imports),
        *(lambda run=run: run_bulk(bulk_id=run.pk) for run in deeds),
        lambda: tags.merge(old, into=new, by=ada),
        lambda: fields.delete(size, by=ada),
        lambda: [erasure.erase(each, by=ada) for each in gone],
        lambda: [
            merging.merge(*pair, taken=set(), by=ada)
            for pair in zip(people[10:20], people[30:40], strict=True)
        ],
        lambda: [growth.fold() for _ in range(20)],
    ]
    doing = [beside(deed) for deed in work]
    assert [each.exception(90) for each in doing] == [None] * len(work)
    assert set(Import.objects.values_list("state", "error")) == {("done", "")}
    assert set(BulkRun.objects.values_list("state", "error")) == {("done", "")}
    assert all(run.done_count == run.total_count for run in BulkRun.objects.all())
    emails = {each.email for each in gone}
    assert not Contact.objects.filter(email__in=emails).exists()
    assert refused_addresses(workspace, emails) == emails
    assert not Contact.objects.filter(attributes__has_key="size").exists()
    assert not Contact.objects.filter(tag_ids__contains=[old.pk]).exists()
    while growth.fold():
        pass
    held = List.objects.get(pk=news.pk)
    true = dict(held.subscriptions.values_list("status").annotate(Count("pk")))
    assert (held.subscribed_count, held.unsubscribed_count) == (
        true.get("subscribed", 0),
        true.get("unsubscribed", 0),
    )
