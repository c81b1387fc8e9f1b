"""Choosing many on a list, being asked in numbers, and seeing it done: as people of each role, and with hostile input."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from contacts.actions.tags import named
from contacts.forms.bulk import IDS_LIMIT
from contacts.jobs import run_bulk
from contacts.models import BulkRun, Contact, Subscription
from tests.builders import a_contact, a_field, a_list, a_segment
from tests.people import a_workspace

pytestmark = pytest.mark.django_db
NEW = "/contacts/bulk/new/"


def choose(client, people, action, query=""):
    """What the bar below a list sends, and the page that it leads to."""
    return client.post(NEW + query, {"action": action, "contact": [each.pk for each in people]})


def go(client, asking, query="", **typed):
    """Send the page's form as it was shown, with what is typed in it."""
    hidden = dict(
        re.findall(r'<input type="hidden" name="(action|contacts|all)" value="([^"]*)"', asking.text)
    )
    return client.post(NEW + query, hidden | {"go": "1"} | typed)


def done() -> BulkRun:
    run = BulkRun.objects.latest("pk")
    run_bulk(bulk_id=run.pk)
    run.refresh_from_db()
    return run


@pytest.mark.parametrize("place", ["contacts", "list", "segment"])
def test_ticked_people_are_tagged_and_the_result_offers_to_undo_it(sign_in, bob, carol, workspace, place):
    news = a_list(workspace)
    anna = a_contact(workspace, "anna@gmail.com", subscribed_to=[news])
    a_contact(workspace, "tom@gmail.com", subscribed_to=[news])
    segment = a_segment(workspace)
    url = {
        "contacts": reverse("contacts"),
        "list": reverse("list", args=[news.pk]),
        "segment": reverse("segment", args=[segment.pk]),
    }[place]
    client = sign_in(bob)
    page = client.get(url).text
    assert f'name="contact" value="{anna.pk}" form="chosen" aria-label="Choose anna@gmail.com"' in page
    query = re.search(r'id="chosen" method="post" action="/contacts/bulk/new/([^"]*)"', page)[1]
    asking = choose(client, [anna], "add_tags", query.replace("&amp;", "&"))
    assert asking.status_code == 200
    assert "<strong>1 person</strong>" in asking.text
    assert "can be undone for 7 days" in asking.text
    answer = go(client, asking, new_tags="Customer, spring fair")
    run = done()
    assert answer.url == reverse("bulk", args=[run.pk])
    anna.refresh_from_db()
    assert len(anna.tag_ids) == 2
    assert not Contact.objects.get(email="tom@gmail.com").tag_ids
    result = client.get(answer.url).text
    assert "Undo for 1 person" in result
    assert "Undo for" not in sign_in(carol).get(answer.url).text
    assert 'name="contact"' not in sign_in(carol).get(url).text
    undoing = client.post(reverse("bulk_undo", args=[run.pk]))
    assert done().changed_count == 1
    assert "As they were before" in client.get(undoing.url).text
    anna.refresh_from_db()
    assert anna.tag_ids == []
    assert "Undo for" not in client.get(answer.url).text
    assert client.post(reverse("bulk_undo", args=[run.pk])).status_code == 409


def test_all_that_match_are_counted_named_and_done(sign_in, bob, workspace):
    news, club = a_list(workspace, "News"), a_list(workspace, "Club")
    for number in range(60):
        a_contact(workspace, f"anna{number}@example.com", subscribed_to=[news])
    a_contact(workspace, "tom@example.com", subscribed_to=[news])
    client, query = sign_in(bob), f"?q=anna&list={news.pk}&status=subscribed&sort=email"
    page = client.get(reverse("contacts") + query).text
    assert 'name="all"' in page
    url = re.search(r'data-match-count hx-get="(/contacts/bulk/count/[^"]*)"', page)[1].replace("&amp;", "&")
    assert client.get(url).text.strip() == "60"
    asking = client.post(NEW + query, {"action": "add_to_list", "all": "1"})
    assert "<strong>60 people</strong>: List “News”, subscribed, with “anna”" in asking.text
    assert "Add 60 people" in asking.text
    refused = go(client, asking, query, list=club.pk)
    assert refused.status_code == 422
    assert "Only people who agreed may be subscribed" in refused.text
    assert not BulkRun.objects.exists()
    go(client, asking, query, list=club.pk, agreed="on", note="at the fair")
    assert done().changed_count == 60
    assert Subscription.objects.filter(list=club).count() == 60


def test_progress_is_shown_until_it_ends_and_it_can_be_stopped(sign_in, bob, carol, workspace):
    run = BulkRun.objects.create(
        workspace=workspace, action="add_tags", name="Tag", whom="Some", state="queued"
    )
    client, url = sign_in(bob), reverse("bulk", args=[run.pk])
    assert "every 1s" in client.get(url).text
    assert "every 1s" in client.get(reverse("bulk_runs")).text
    BulkRun.objects.filter(pk=run.pk).update(state="running", total_count=48213, done_count=20000)
    part = client.get(url, headers={"HX-Request": "true", "HX-Target": "div#bulk-run"}).text
    assert "20,000 of 48,213 people" in part
    assert "<html" not in part
    assert "Stop</button>" not in sign_in(carol).get(url).text
    assert client.post(reverse("bulk_cancel", args=[run.pk])).status_code == 302
    assert "every 1s" not in client.get(url).text
    assert client.post(reverse("bulk_cancel", args=[run.pk])).status_code == 409


def test_deleting_is_an_admins_and_asks_for_the_word(sign_in, ada, bob, workspace):
    anna = a_contact(workspace)
    assert choose(sign_in(bob), [anna], "delete").status_code == 403
    assert 'value="delete"' not in sign_in(bob).get(reverse("contacts")).text
    client = sign_in(ada)
    asking = choose(client, [anna], "delete")
    assert "This cannot be undone" in asking.text
    for word in ("", "yes"):
        assert go(client, asking, word=word).status_code == 422
    go(client, asking, word="Delete")
    assert done().changed_count == 1
    assert not Contact.objects.exists()


@pytest.mark.parametrize(
    ("kind", "typed", "kept"),
    [
        ("text", "Berlin", "Berlin"),
        ("number", "3.5", 3.5),
        ("boolean", "no", False),
        ("date", "2024-12-31", "2024-12-31"),
    ],
)
def test_a_field_is_chosen_first_and_its_value_is_of_its_type(sign_in, bob, workspace, kind, typed, kept):
    field, anna = a_field(workspace, "Thing", type=kind), a_contact(workspace)
    client = sign_in(bob)
    asking = choose(client, [anna], "set_field")
    assert 'name="value"' not in asking.text
    hidden = {"action": "set_field", "contacts": str(anna.pk), "field": field.pk}
    part = client.post(NEW, hidden, headers={"HX-Request": "true", "HX-Target": "form#bulk-form"})
    assert 'name="value"' in part.text
    assert "<html" not in part.text
    nothing = client.post(NEW, hidden | {"go": "1", "value": ""})
    assert nothing.status_code == 422
    assert "Give a value, or take it away" in nothing.text
    client.post(NEW, hidden | {"go": "1", "value": typed})
    run = done()
    anna.refresh_from_db()
    assert anna.attributes == {"thing": kept}
    assert run.name == f"Set Thing to “{typed}”"
    client.post(NEW, hidden | {"go": "1", "value": "", "is_emptied": "on"})
    done()
    anna.refresh_from_db()
    assert anna.attributes == {}


@pytest.mark.parametrize(
    ("kind", "typed"), [("number", "many"), ("number", "1e999"), ("date", "soon"), ("boolean", "x")]
)
def test_a_value_of_another_type_is_refused_beside_the_field(sign_in, bob, workspace, kind, typed):
    field, anna = a_field(workspace, "Thing", type=kind), a_contact(workspace)
    answer = sign_in(bob).post(
        NEW, {"action": "set_field", "contacts": anna.pk, "field": field.pk, "go": "1", "value": typed}
    )
    assert answer.status_code == 422
    assert 'id="id_value_error"' in answer.text
    assert not BulkRun.objects.exists()


def test_the_list_that_one_looks_at_is_proposed_to_be_taken_off(sign_in, bob, workspace):
    news = a_list(workspace)
    anna = a_contact(workspace, subscribed_to=[news])
    asking = choose(sign_in(bob), [anna], "remove_from_list", f"?list={news.pk}")
    assert f'<option value="{news.pk}" selected>' in asking.text
    assert f'<option value="{news.pk}" selected>' not in choose(sign_in(bob), [anna], "add_to_list").text


# --- What is not ours, and what makes no sense --------------------------------------------------------


def test_another_workspaces_list_tag_or_field_is_refused_beside_the_field(sign_in, bob, workspace):
    other = a_workspace("Other")
    anna = a_contact(workspace)
    (tag,) = named(other, ["theirs"], by=None)
    (_ours,) = named(workspace, ["ours"], by=None)
    theirs = a_list(other, "Theirs").pk
    for action, typed in (
        ("add_to_list", {"list": theirs, "agreed": "on"}),
        ("remove_from_list", {"list": theirs}),
        ("add_tags", {"tags": tag.pk}),
        ("remove_tags", {"tags": tag.pk}),
        ("set_field", {"field": a_field(other, "City").pk, "value": "x"}),
    ):
        answer = sign_in(bob).post(NEW, {"action": action, "contacts": anna.pk, "go": "1", **typed})
        assert answer.status_code == 422, action
        assert "theirs" not in answer.text.lower()
    assert not BulkRun.objects.exists()


def test_another_workspaces_contacts_are_left_out(sign_in, bob, workspace):
    ours, theirs = a_contact(workspace), a_contact(a_workspace("Other"), "theirs@example.com")
    client = sign_in(bob)
    assert "1 person" in choose(client, [ours, theirs], "suppress").text
    assert choose(client, [theirs], "suppress").status_code == 422
    go(client, choose(client, [ours, theirs], "suppress"))
    assert done().total_count == 1


def test_another_workspaces_run_is_not_there(sign_in, bob, mallory, workspace):
    run = BulkRun.objects.create(
        workspace=workspace, action="add_tags", name="Tag", whom="Some", state="queued"
    )
    client = sign_in(mallory)
    assert client.get(reverse("bulk", args=[run.pk])).status_code == 404
    for deed in ("bulk_cancel", "bulk_undo"):
        assert client.post(reverse(deed, args=[run.pk])).status_code == 404


@pytest.mark.parametrize(
    ("query", "posted", "status"),
    [
        ("", {"action": "suppress"}, 422),
        ("", {"action": "suppress", "contact": "x"}, 422),
        ("", {"action": "suppress", "contacts": "1,-2"}, 422),
        ("", {"action": "suppress", "contacts": "1;2"}, 422),
        ("", {"action": "suppress", "contact": "9" * 30}, 422),
        ("", {"action": "suppress", "contact": "1\0"}, 422),
        ("", {"action": "suppress", "contact": "999999"}, 422),
        ("", {"action": "suppress", "contacts": ",".join(map(str, range(IDS_LIMIT + 1)))}, 422),
        ("", {"action": "undo", "all": "1"}, 404),
        ("", {"action": "explode", "all": "1"}, 404),
        ("", {"all": "1"}, 404),
        ("?list=999999", {"action": "suppress", "all": "1"}, 404),
        ("?list=x", {"action": "suppress", "all": "1"}, 404),
        ("?status=nonsense", {"action": "suppress", "all": "1"}, 404),
        ("?segment=0", {"action": "suppress", "all": "1"}, 404),
        ("?segment=", {"action": "suppress", "all": "1"}, 404),
    ],
)
def test_what_makes_no_sense_never_means_everybody(sign_in, bob, workspace, query, posted, status):
    a_contact(workspace)
    assert sign_in(bob).post(NEW + query, posted | {"go": "1"}).status_code == status
    assert not BulkRun.objects.exists()


def test_tags_are_checked(sign_in, bob, workspace):
    anna = a_contact(workspace)
    client = sign_in(bob)
    for typed in ("", " , ", "x" * 61, ",".join(f"t{n}" for n in range(21)), "a\nb"):
        answer = client.post(NEW, {"action": "add_tags", "contacts": anna.pk, "go": "1", "new_tags": typed})
        assert answer.status_code == 422, typed
    assert not BulkRun.objects.exists()


def test_every_tag_has_a_box_with_its_name_beside_it(sign_in, bob, workspace):
    anna = a_contact(workspace)
    named(workspace, ["fair", "vip"], by=None)
    for action in ("add_tags", "remove_tags"):
        asking = choose(sign_in(bob), [anna], action).text
        for name in ("fair", "vip"):
            assert re.search(
                rf'<label class="form-check"[^>]*>\s*<input class="form-check-input"[^>]*>'
                rf'\s*<span class="form-check-label[^"]*">{name}</span>',
                asking,
            ), action


def test_a_new_tag_may_hold_a_comma(sign_in, bob, workspace):
    anna = a_contact(workspace)
    asked = {"action": "add_tags", "contacts": anna.pk, "go": "1", "new_tags": 'fair, "Graz, Austria"'}
    assert sign_in(bob).post(NEW, asked).status_code == 302
    assert BulkRun.objects.get().name == "Tag with “fair”, “Graz, Austria”"


def test_nobody_may_who_only_looks(sign_in, carol, workspace):
    anna = a_contact(workspace)
    assert choose(sign_in(carol), [anna], "suppress").status_code == 403


def test_the_list_of_runs_asks_the_same_number_of_queries_for_three_and_thirty(sign_in, bob, workspace):
    client, asked = sign_in(bob), []
    for count in (3, 27):
        for number in range(count):
            BulkRun.objects.create(
                workspace=workspace, action="suppress", name=f"Deed {number}", created_by=bob, state="done"
            )
        with CaptureQueriesContext(connection) as queries:
            assert "Deed 1" in client.get(reverse("bulk_runs")).text
        asked.append(len(queries))
    assert asked[0] == asked[1] <= 15
