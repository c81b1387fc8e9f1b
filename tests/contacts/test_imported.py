"""Whom an import brought: from its result to the list of contacts, and on to exports, bulk actions and segments."""

import datetime
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from contacts import chosen, segments
from contacts.actions import imports as actions
from contacts.models import Contact, Import
from contacts.models.imports import UNDO_TIME
from contacts.queries import contacts as queries
from contacts.queries import finding
from contacts.queries.contacts import SORTS, Finder
from contacts.queries.imported import imported
from contacts.segments.vocabulary import Vocabulary
from tests.builders import a_contact
from tests.contacts.imports import carried_out

pytestmark = pytest.mark.django_db(transaction=True)
FILE = "email,first name\nanna@example.com,Anna\nben@example.com,Ben\ncleo@example.com,Cleo\n"
ALL, NEW, UPDATED = ["anna", "ben", "cleo"], ["cleo"], ["ben"]


@pytest.fixture
def run(workspace, an_import):
    """Anna was here and stays as she was, Ben was here and gets his name, Cleo is new; Dora is not in the file."""
    a_contact(workspace, "anna@example.com", first_name="Anna")
    a_contact(workspace, "ben@example.com")
    a_contact(workspace, "dora@example.com")
    made = carried_out(an_import(FILE))
    a_contact(workspace, "eve@example.com")  # came after it
    return made


def names(contacts):
    return sorted(each.email.partition("@")[0] for each in contacts)


def shown(client, key, **more):
    return names(client.get(reverse("contacts"), {"import": key, **more}).context["page"].rows)


def let_the_undo_time_pass(run):
    Import.objects.filter(pk=run.pk).update(
        finished_at=timezone.now() - UNDO_TIME - datetime.timedelta(hours=1)
    )
    while actions.forget_old():
        pass


def test_a_result_leads_to_the_people_of_its_file_to_the_new_and_to_the_updated_ones(sign_in, bob, run):
    client = sign_in(bob)
    result = client.get(reverse("import", args=[run.pk])).text
    found = {}
    for key in re.findall(r'href="/contacts/\?import=([^"]+)"', result):
        found[key] = shown(client, key)
    assert found == {f"{run.pk}-new": NEW, f"{run.pk}-updated": UPDATED, f"{run.pk}": ALL}
    page = client.get(reverse("contacts"), {"import": run.pk})
    assert "In “people.csv”" in page.text
    assert shown(client, run.pk, q="ann") == ["anna"]
    assert "Import" not in client.get(reverse("contacts")).context["form"].fields


def test_once_it_cannot_be_undone_its_new_people_are_still_told_and_the_others_are_not(
    sign_in, bob, run, workspace
):
    let_the_undo_time_pass(run)
    client = sign_in(bob)
    result = client.get(reverse("import", args=[run.pk])).text
    assert "See the new contacts" in result
    assert f"import={run.pk}-updated" not in result
    assert shown(client, f"{run.pk}-new") == NEW
    assert imported(workspace, f"{run.pk}-updated") is None
    strict = client.get(reverse("export_new"), {"import": f"{run.pk}-updated"})
    assert strict.status_code == 404  # an export of everybody would be no answer
    with pytest.raises(chosen.Gone):
        chosen.people({"import": f"{run.pk}-updated"}, workspace)


def test_exports_and_bulk_actions_are_for_the_people_of_the_import_and_say_so(sign_in, bob, run, workspace):
    client = sign_in(bob)
    for key, expected, said in (("", ALL, "in “people.csv”"), ("-new", NEW, "new from “people.csv”")):
        asked = {"import": f"{run.pk}{key}"}
        assert said in client.get(reverse("export_new"), asked).text
        assert said in client.get(reverse("bulk_new"), {"action": "add_tags", **asked}).text
        kept = chosen.of_finder(Finder(imported=imported(workspace, asked["import"])))
        assert names(chosen.people(kept, workspace)[0]) == expected


@pytest.mark.parametrize("many", [0, 20_000])
def test_the_same_people_are_counted_however_many_rows_the_file_had(workspace, run, many, monkeypatch):
    monkeypatch.setattr("contacts.queries.imported.MANY", many)
    for key, expected in (("", ALL), ("-new", NEW), ("-updated", UPDATED)):
        found = queries.find(workspace, Finder(imported=imported(workspace, f"{run.pk}{key}")))
        assert names(found) == expected


def test_another_workspaces_import_and_what_is_none_filter_nothing_and_export_nothing(sign_in, mallory, run):
    client = sign_in(mallory)
    for key in (run.pk, f"{run.pk}-new", "0", "-new", "x\0", "9" * 30, f"{run.pk}-old"):
        assert client.get(reverse("contacts"), {"import": key}).status_code == 200
        assert client.get(reverse("export_new"), {"import": key}).status_code == 404


@pytest.mark.parametrize("sort", SORTS)
def test_a_page_is_the_same_whether_it_is_walked_or_gathered(workspace, run, sort, monkeypatch):
    for key, expected in (("", ALL), ("-new", NEW), ("-updated", UPDATED)):
        finder = Finder(imported=imported(workspace, f"{run.pk}{key}"), sort=sort)
        walked = [each.pk for each in queries.page(workspace, finder).rows]
        with monkeypatch.context() as patched:
            patched.setattr(finding, "WALK_ROWS", 1)
            gathered = [each.pk for each in queries.page(workspace, finder).rows]
        assert walked == gathered
        assert names(Contact.objects.filter(pk__in=walked)) == expected


def test_the_ids_of_a_large_file_are_read_once_and_not_for_each_contact(workspace, run):
    """A million of them joined by loops would take minutes."""
    with CaptureQueriesContext(connection) as made:
        queries.page(workspace, Finder(imported=imported(workspace, str(run.pk))))
    (walk, *_) = [each["sql"] for each in made if each["sql"].startswith('SELECT "contacts_contact"')]
    with finding.quickly(), connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {walk}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "hashed SubPlan" in plan


def test_a_segment_is_made_of_those_whom_an_import_added(workspace, run):
    def found(operator):
        rules = {
            "join": "and",
            "rules": [{"subject": "added_by", "operator": operator, "value": run.pk}],
        }
        assert not Vocabulary(workspace).problem(rules)
        return names(segments.matching(rules, workspace))

    let_the_undo_time_pass(run)
    assert found("is") == ["cleo"]
    assert found("is_not") == ["anna", "ben", "dora", "eve"]


def test_a_segment_of_an_import_says_of_which_and_knows_none_of_another_workspace(workspace, run, mallory):
    rules = {"join": "and", "rules": [{"subject": "added_by", "operator": "is", "value": run.pk}]}
    day = f"{run.created_at.astimezone(workspace.zone):%-d %b %Y, %H:%M}"
    assert segments.in_words(rules, Vocabulary(workspace)) == f"Added by the import people.csv, {day}"
    elsewhere = mallory.memberships.get().workspace
    assert "never existed" in Vocabulary(elsewhere).problem(rules)
