"""The lists' counts and days are true after whatever is done to people, by every deed there is, folded at any moment."""

import pytest
from django.db.models import Count, Sum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contacts.actions import bulk, confirmations, contacts, erasure, growth, merging, subscriptions
from contacts.actions import imports as actions
from contacts.actions.bulk import Plan, Whom
from contacts.chosen import of_ids
from contacts.jobs import run_bulk
from contacts.models import (
    BulkRun,
    Contact,
    ErasedAddress,
    List,
    ListChange,
    ListDay,
    Subscription,
    Suppression,
)
from tests.builders import a_list
from tests.contacts.imports import carried_out

EMAILS = [f"p{number}@example.com" for number in range(6)]
DEEDS = st.lists(
    st.tuples(
        st.sampled_from([
            "import", "import", "import pending", "undo import", "cancel import", "add_to_list", "remove_from_list",
            "unsubscribe", "delete", "undo bulk", "merge", "erase", "delete one", "subscribe", "leave", "ask",
            "confirm", "come back", "fold",
        ]),
        st.sets(st.sampled_from(range(6)), min_size=1, max_size=4),
    ),
    min_size=4, max_size=14,
)  # fmt: skip


class World:
    def __init__(self, workspace, by, an_import):
        self.workspace, self.by, self.an_import = workspace, by, an_import
        self.news = a_list(workspace, "News")
        self.club = a_list(workspace, "Club", opt_in="double")
        self.imports = []

    def do(self, deed, places):
        people = list(
            Contact.objects.of(self.workspace)
            .filter(email__in=[EMAILS[each] for each in places])
            .order_by("pk")
        )
        if deed.startswith("import"):
            self._import(places, pending=deed.endswith("pending"))
        elif deed == "undo import" and self.imports:
            actions.undo(self.imports[-1], by=self.by)
            carried_out(self.imports.pop())
        elif deed == "cancel import":
            run = self.an_import("email\n" + "\n".join(EMAILS[each] for each in places), lists=[self.news])
            actions.cancel(run, by=self.by)
            carried_out(run)
        elif deed == "fold":
            growth.fold()
        elif deed == "undo bulk":
            self._undo()
        elif people:
            self._to(deed, people)

    def _import(self, places, *, pending):
        rows = "email\n" + "\n".join(EMAILS[each] for each in places)
        chosen = {"lists": [self.club], "status": "pending"} if pending else {"lists": [self.news, self.club]}
        self.imports.append(carried_out(self.an_import(rows, **chosen)))

    def _undo(self):
        run = BulkRun.objects.filter(state="done", undoes=None).exclude(action="delete").last()
        if run and run.changed_count:
            run_bulk(bulk_id=bulk.undo(run, by=self.by).pk)

    def _to(self, deed, people):
        first, last = people[0], people[-1]
        held = Subscription.objects.filter(contact=first, list=self.club).first()
        match deed:
            case "add_to_list" | "remove_from_list" | "unsubscribe" | "delete":
                plan = Plan(deed, deed, {"list": self.news.pk}, agreed=True)
                run = bulk.ask(
                    self.workspace, plan, Whom(of_ids(each.pk for each in people), "x"), by=self.by
                )
                run_bulk(bulk_id=run.pk)
            case "merge" if first != last:
                merging.merge(first, last, taken={"email"}, by=self.by)
            case "erase":
                erasure.erase(first, by=self.by)
            case "delete one":
                contacts.delete(first, by=self.by)
            case "subscribe":
                subscriptions.subscribe(first, lists=[self.news, self.club], source="Form")
            case "leave":
                subscriptions.unsubscribe_from_everything(first, source="Link")
            case "ask":
                confirmations.ask(first, lists=[self.club], source="Form")
            case "confirm" | "come back" if held:
                confirmations.confirm(held, source="Link", ip=None, comes_back=deed == "come back")

    def check(self):
        for held in List.objects.filter(workspace=self.workspace):
            true = dict(held.subscriptions.values_list("status").annotate(Count("pk")))
            found = (held.subscribed_count, held.pending_count, held.unsubscribed_count)
            assert found == tuple(true.get(each, 0) for each in ("subscribed", "pending", "unsubscribed"))
            days = ListDay.objects.filter(list=held).aggregate(
                joined=Sum("joined_count"), left=Sum("left_count")
            )
            assert (days["joined"] or 0) - (days["left"] or 0) == held.subscribed_count


@pytest.mark.django_db
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deeds=DEEDS)
def test_counts_are_true_after_any_deeds(an_import, workspace, bob, deeds):
    for model in (Contact, BulkRun, List, Suppression, ListChange):
        model.objects.all().delete()
    ErasedAddress.objects.all().delete()
    world = World(workspace, bob, an_import)
    for deed, places in deeds:
        world.do(deed, places)
    growth.fold()
    assert not ListChange.objects.exists()
    world.check()
