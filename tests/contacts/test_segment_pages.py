import psycopg
import pytest
from django.db import OperationalError, connection
from django.db.models import BooleanField, Q
from django.db.models.expressions import RawSQL
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from contacts import registry
from contacts.forms.deeds import edited
from contacts.forms.drawn import drawn
from contacts.forms.segments import rules_in
from contacts.models import Contact, CustomField, List, Segment, Subscription, Suppression, Tag
from contacts.queries import segments as queries
from contacts.segments.rules import read
from contacts.segments.vocabulary import Vocabulary
from tests.builders import a_contact

GMAIL = {"join": "and", "rules": [{"subject": "email", "operator": "domain", "value": ["gmail.com"]}]}
FORM = {
    "rule.join": "and",
    "rule.0.subject": "email",
    "rule.0.operator": "domain",
    "rule.0.value": "gmail.com",
}
PART = {"HX-Request": "true", "HX-Target": "div#segment-rules"}


@pytest.fixture
def segment(workspace):
    return Segment.objects.create(workspace=workspace, name="Gmail", rules=GMAIL)


@pytest.fixture
def anna(workspace):
    anna = Contact.objects.create(workspace=workspace, email="anna@gmail.com", first_name="Anna")
    news = List.objects.create(workspace=workspace, name="News")
    Subscription.objects.create(workspace=workspace, contact=anna, list=news, status="subscribed")
    return anna


def test_a_marketer_saves_a_segment(sign_in, bob, workspace):
    response = sign_in(bob).post(reverse("segment_new"), FORM | {"name": "Gmail"})
    segment = Segment.objects.of(workspace).get()
    assert response.url == reverse("segment", args=[segment.pk])
    assert segment.rules == GMAIL


def test_a_marketer_changes_a_segment(sign_in, bob, segment):
    page = reverse("segment_edit", args=[segment.pk])
    assert "gmail.com" in sign_in(bob).get(page).text
    sign_in(bob).post(page, FORM | {"name": "gmail", "rule.0.value": "gmx.de"})
    segment.refresh_from_db()
    assert (segment.name, segment.rules["rules"][0]["value"]) == ("gmail", ["gmx.de"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": ""}, "Give the segment a name."),
        ({"name": "GMAIL"}, "There is a segment “GMAIL” already."),
        ({"rule.0.value": ""}, "Give at least one value, one a line."),
        ({"rule.0.operator": "domain", "rule.0.subject": "attribute:gone"}, "was deleted or never existed"),
        ({"rule.0.subject": "created_at", "rule.0.operator": "on", "rule.0.value": "soon"}, "Choose a date"),
        ({"rule.1.join": "or"}, "Add a rule, or remove this group."),
        ({"name": "a\0b"}, "Null characters are not allowed."),
        ({"rule.0.value": "a\0b"}, "cannot be read"),
    ],
)
def test_a_wrong_rule_or_name_keeps_what_was_typed(sign_in, bob, segment, change, message):
    response = sign_in(bob).post(reverse("segment_new"), FORM | {"name": "New one"} | change)
    assert response.status_code == 422
    assert message in response.text
    if "name" not in change:
        assert "New one" in response.text
    assert Segment.objects.count() == 1


def test_no_rule_at_all_is_said(sign_in, bob):
    response = sign_in(bob).post(reverse("segment_new"), {"name": "Empty"})
    assert response.status_code == 422
    assert "Add at least one rule" in response.text


def test_a_button_of_the_builder_redraws_the_rules_alone_and_saves_nothing(sign_in, bob):
    client = sign_in(bob)
    response = client.post(reverse("segment_new"), FORM | {"name": "X", "deed": "add-group:"}, headers=PART)
    assert response.status_code == 200
    assert "<html" not in response.text
    assert 'name="rule.1.0.subject"' in response.text
    assert response.context["focus"] == "rule-1.0-subject"  # the keyboard goes on at the new rule
    assert response.text.count(" autofocus") == 1
    assert not Segment.objects.exists()


def test_the_value_fits_the_subject(sign_in, bob, workspace):
    CustomField.objects.create(workspace=workspace, key="born", label="Born", type="date")
    form = FORM | {"rule.0.subject": "attribute:born", "deed": "redraw"}
    assert 'type="date"' in sign_in(bob).post(reverse("segment_new"), form, headers=PART).text


def test_rules_come_and_go_by_path():
    raw = rules_in(FORM)
    assert edited(raw, "add-group:") == "rule-1.0-subject"
    assert edited(raw, "add-rule:1") == "rule-1.1-subject"
    assert [len(raw["rules"]), len(raw["rules"][1]["rules"])] == [2, 2]
    assert [edited(raw, deed) for deed in ("remove:1.0", "remove:0")] == ["group-1-add", "group--add"]
    assert [len(raw["rules"]), len(raw["rules"][0]["rules"])] == [1, 1]
    for nonsense in (
        "remove:9",
        "remove:",
        "add-rule:0.0.0",
        "add-group:7.7",
        "explode",
        "remove:0.0.0.0.0",
        "add-rule:²",
    ):
        assert edited(raw, nonsense) == ""
    assert [len(raw["rules"]), len(raw["rules"][0]["rules"])] == [1, 1]


def test_a_rule_moves_past_its_neighbours_into_groups_and_out_again():
    a, b, c = ({"subject": name, "operator": "is", "value": ""} for name in "abc")
    raw = {"join": "and", "rules": [a, {"join": "or", "rules": [b, c]}]}
    shapes = []

    def shape(part):
        return part["subject"] if "subject" in part else [shape(each) for each in part["rules"]]

    path = "0"
    for verb in ("down", "down", "down", "down", "down", "up", "up", "up", "up", "up"):
        focus = edited(raw, f"{verb}:{path}")
        path = focus.removeprefix("rule-").removesuffix("-subject") or path
        shapes.append(shape(raw))
    there = [[["a", "b", "c"]], [["b", "a", "c"]], [["b", "c", "a"]], [["b", "c"], "a"]]
    back = [[["b", "c", "a"]], [["b", "a", "c"]], [["a", "b", "c"]], ["a", ["b", "c"]]]
    assert shapes == [*there, there[-1], *back, back[-1]]
    assert edited(raw, "down:1.1") == "rule-2-subject"  # out of the group, behind it
    assert edited(raw, "up:1") == "group-0-join"  # a group moves as well


def test_a_group_never_moves_deeper_than_groups_may_go():
    deep = {"join": "and", "rules": [{"join": "and", "rules": [{"join": "and", "rules": []}]}]}
    raw = {"join": "and", "rules": [{"join": "or", "rules": []}, deep["rules"][0]]}
    for deed in ("down:0", "down:0.0", "down:0.0.0", "up:1", "down:0", "up:1"):
        edited(raw, deed)
        read(raw)


def test_what_is_drawn_reads_back_as_the_same_rules(workspace):
    tags = [Tag.objects.create(workspace=workspace, name=name).pk for name in ("Hot", "Cold")]
    tagged = {"subject": "tags", "operator": "all_of", "value": tags}
    value = {"mailing": None, "times": 2, "days": 30}
    clicked = {"subject": "clicked", "operator": "did", "value": value}
    nested = {"join": "none", "rules": [*GMAIL["rules"], {"join": "and", "rules": [tagged, clicked]}]}
    row = drawn(nested, Vocabulary(workspace), say_errors=True)
    data = QueryDict(mutable=True)
    data["rule.join"], data["rule.1.join"] = row.join, row.rows[1].join
    for each in (row.rows[0], *row.rows[1].rows):
        data[f"rule.{each.path}.subject"], data[f"rule.{each.path}.operator"] = each.subject, each.operator
        for held in each.inputs:
            data.setlist(held.name, held.values)
    assert Vocabulary(workspace).checked(read(rules_in(data))) == nested


def test_the_live_count_says_how_many_and_whom(sign_in, bob, anna, workspace):
    Contact.objects.create(workspace=workspace, email="unlisted@gmail.com")
    Suppression.objects.create(workspace=workspace, email="unlisted@gmail.com", reason="manual")
    response = sign_in(bob).post(reverse("segment_count"), FORM)
    text = " ".join(response.text.split())
    assert '<strong class="fs-2">2</strong> people match, of whom <strong>1</strong> can be mailed.' in text
    assert "anna@gmail.com" in text


def test_an_unfinished_rule_is_asked_for_instead_of_a_count(sign_in, bob):
    response = sign_in(bob).post(reverse("segment_count"), FORM | {"rule.0.value": ""})
    assert response.status_code == 200
    assert "Give at least one value" in response.text


def test_a_count_that_takes_too_long_is_given_up(sign_in, bob, workspace, monkeypatch):
    monkeypatch.setattr(queries, "LIVE_SECONDS", 0.05)
    monkeypatch.setattr(queries, "EXAMPLES_SECONDS", 0.05)
    a_contact(workspace, "anna@gmail.com")
    slow = RawSQL("(SELECT pg_sleep(5) IS NOT NULL)", [], output_field=BooleanField())
    monkeypatch.setattr("contacts.segments.condition", lambda *_: Q(slow))
    text = " ".join(sign_in(bob).post(reverse("segment_count"), FORM).text.split())
    assert "An unknown number of</strong> people match" in text
    assert "estimate from a part" not in text
    assert "Count exactly" in text
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")  # the limit has ended with the count


@pytest.mark.django_db
def test_only_the_timeout_is_turned_into_words():
    with pytest.raises(OperationalError), queries.at_most(3):
        raise OperationalError("gone") from psycopg.OperationalError("gone")


def test_the_list_shows_rules_in_words_with_the_same_number_of_queries(sign_in, carol, workspace):
    client, asked = sign_in(carol), []
    for start, end in ((0, 3), (3, 30)):
        for number in range(start, end):
            Segment.objects.create(workspace=workspace, name=f"Segment {number}", rules=GMAIL)
        with CaptureQueriesContext(connection) as queries_made:
            page = client.get(reverse("segments"))
        asked.append(len(queries_made))
    assert "E-mail is at the domain “gmail.com”" in page.text
    assert "not counted" in page.text
    assert asked[0] == asked[1] <= 15  # session, person, memberships, segments, fields


def test_search_finds_by_name(sign_in, carol, segment):
    assert "Gmail" in sign_in(carol).get(reverse("segments"), {"q": "mai"}).text
    assert (
        "No segment found"
        in sign_in(carol).get(reverse("segments"), {"q": "zz\0", "cursor": "nonsense"}).text
    )


def test_a_segments_page_shows_whom_it_finds(sign_in, carol, segment, anna):
    page = sign_in(carol).get(reverse("segment", args=[segment.pk]))
    assert "anna@gmail.com" in page.text
    assert "Anna" in page.text
    count = sign_in(carol).post(reverse("segment_recount", args=[segment.pk]))
    assert "person matches" in count.text
    assert '<td data-label="People">1<' in sign_in(carol).get(reverse("segments")).text  # from now on


def test_a_segment_of_a_deleted_field_still_opens(sign_in, bob, workspace):
    rules = {"join": "and", "rules": [{"subject": "attribute:gone", "operator": "is", "value": "x"}]}
    segment = Segment.objects.create(workspace=workspace, name="Old", rules=rules)
    assert "was deleted" in sign_in(bob).get(reverse("segment", args=[segment.pk])).text
    assert "was deleted" in sign_in(bob).get(reverse("segment_edit", args=[segment.pk])).text
    assert sign_in(bob).get(reverse("segments")).status_code == 200


def test_a_copy_has_a_name_of_its_own(sign_in, bob, segment):
    for _ in range(3):
        sign_in(bob).post(reverse("segment_duplicate", args=[segment.pk]))
    names = set(Segment.objects.values_list("name", flat=True))
    assert names == {"Gmail", "Gmail (copy)", "Gmail (copy 2)", "Gmail (copy 3)"}


def test_deleting_leaves_the_people(sign_in, bob, segment, anna):
    assert sign_in(bob).post(reverse("segment_delete", args=[segment.pk])).url == reverse("segments")
    assert not Segment.objects.exists()
    assert Contact.objects.exists()


def test_a_segment_that_is_needed_is_not_deleted(sign_in, bob, segment, monkeypatch):
    monkeypatch.setattr(registry, "segment_uses", [lambda _segment: ["Spring sale"]])
    page = sign_in(bob).post(reverse("segment_delete", args=[segment.pk]), follow=True)
    assert "“Spring sale” still uses this segment." in page.text
    assert Segment.objects.exists()


def test_the_viewer_looks_and_changes_nothing(sign_in, carol, segment):
    client = sign_in(carol)
    assert client.get(reverse("segments")).status_code == 200
    assert client.get(reverse("segment_new")).status_code == 403
    assert client.get(reverse("segment_edit", args=[segment.pk])).status_code == 403
    for name in ("segment_duplicate", "segment_freeze", "segment_delete"):
        assert client.post(reverse(name, args=[segment.pk])).status_code == 403
        assert client.get(reverse(name, args=[segment.pk])).status_code in (403, 405)


@pytest.mark.parametrize(
    "name", [f"segment{deed}" for deed in ("", "_edit", "_duplicate", "_freeze", "_delete", "_recount")]
)
def test_another_workspaces_segment_does_not_exist(sign_in, mallory, segment, name):
    client = sign_in(mallory)
    ask = client.get if name in ("segment", "segment_edit") else client.post
    assert ask(reverse(name, args=[segment.pk])).status_code == 404


def test_the_builder_works_without_scripts(sign_in, bob):
    """A button sends the form, and the whole page comes back with the rules as they are now."""
    client = sign_in(bob)
    page = client.get(reverse("segment_new")).text
    assert '<button class="btn btn-sm" type="submit" name="deed" value="add-rule:"' in page
    answer = client.post(reverse("segment_new"), FORM | {"name": "X", "deed": "add-rule:"})
    assert "<html" in answer.text
    assert 'name="rule.1.subject"' in answer.text
    assert 'value="X"' in answer.text
    assert answer.status_code == 200


def test_several_values_are_ticked_and_kept(sign_in, bob, workspace):
    CustomField.objects.create(
        workspace=workspace, key="plan", label="Plan", type="choice", options=["free", "plus", "pro"]
    )
    form = {"name": "Paying", "rule.0.subject": "attribute:plan", "rule.0.operator": "any_of"}
    client = sign_in(bob)
    client.post(reverse("segment_new"), {**form, "rule.0.value": ["plus", "pro"]})
    segment = Segment.objects.get()
    assert segment.rules["rules"][0]["value"] == ["plus", "pro"]
    page = client.get(reverse("segment_edit", args=[segment.pk])).text
    assert page.count('type="checkbox" name="rule.0.value"') == 3
    assert page.count(" checked") == 2
    refused = client.post(reverse("segment_new"), {**form, "name": "None"})
    assert "Choose at least one option." in refused.text


def test_many_addresses_are_pasted_at_once(sign_in, bob, anna):
    pasted = "\r\n".join(["anna@gmail.com", *(f"person{number}@example.com" for number in range(900))])
    form = {"name": "Pasted", "rule.0.subject": "email", "rule.0.operator": "any_of"}
    client = sign_in(bob)
    assert ">1<" in client.post(reverse("segment_count"), form | {"rule.0.value": pasted}).text
    assert client.post(reverse("segment_new"), form | {"rule.0.value": pasted}).status_code == 302
    assert len(Segment.objects.get().rules["rules"][0]["value"]) == 901
    for wrong, message in (
        ("\n".join(map(str, range(1001))), "These are 1,001 values"),
        ("x" * 501, "too long"),
    ):
        refused = client.post(reverse("segment_new"), form | {"name": "More", "rule.0.value": wrong})
        assert message in refused.text


def test_values_by_name_are_kept(sign_in, bob):
    form = {"name": "Keen", "rule.0.subject": "clicked", "rule.0.operator": "did"}
    values = {"rule.0.value.mailing": "", "rule.0.value.times": "2", "rule.0.value.days": "30"}
    sign_in(bob).post(reverse("segment_new"), form | values)
    assert Segment.objects.get().rules["rules"][0]["value"] == {"mailing": None, "times": 2, "days": 30}


def test_a_new_segment_may_begin_with_rules_of_the_address(sign_in, bob):
    page = sign_in(bob).get(reverse("segment_new"), FORM | {"name": "From a link"})
    assert 'value="From a link"' in page.text
    assert "gmail.com</textarea>" in page.text
    assert "One a line." in page.text
    hostile = {"rule.0.subject": "\0", "rule.0.value": "<script>", "name": "\0"}
    assert sign_in(bob).get(reverse("segment_new"), hostile).status_code == 200


def test_many_conditions_can_be_searched(sign_in, bob, workspace):
    page = reverse("segment_new")
    assert "data-search-menu" not in sign_in(bob).get(page).text
    CustomField.objects.bulk_create(
        CustomField(workspace=workspace, key=f"f{number}", label=f"Field {number}") for number in range(200)
    )
    assert 'data-search-menu="rule-0-subject"' in sign_in(bob).get(page).text


def test_an_estimate_is_marked_and_the_exact_count_is_a_button_away(
    sign_in, bob, anna, workspace, monkeypatch
):
    for number in range(30):
        a_contact(workspace, f"p{number}@gmail.com")
    monkeypatch.setattr(queries, "_exactly", lambda *_: None)
    text = " ".join(sign_in(bob).post(reverse("segment_count"), FORM).text.split())
    assert '<strong class="fs-2">About 31</strong> people match' in text
    assert "<strong>fewer than 20</strong> can be mailed" in text
    assert "Count exactly" in text
    monkeypatch.undo()
    text = sign_in(bob).post(reverse("segment_count"), FORM | {"exactly": "1"}).text
    assert ">31<" in text
    assert "Count exactly" not in text


def test_an_estimate_keeps_no_figure_and_a_change_forgets_it(sign_in, bob, segment, anna, monkeypatch):
    client, recount = sign_in(bob), reverse("segment_recount", args=[segment.pk])
    client.post(recount)
    segment.refresh_from_db()
    assert segment.people_count == 1
    client.post(
        reverse("segment_edit", args=[segment.pk]), FORM | {"name": "Gmail", "rule.0.value": "gmx.de"}
    )
    segment.refresh_from_db()
    assert segment.people_count is None
    monkeypatch.setattr(queries, "_exactly", lambda *_: None)
    client.post(recount)
    segment.refresh_from_db()
    assert segment.people_count is None


def test_rare_people_are_found_by_sorting_where_going_back_takes_too_long(anna, segment, monkeypatch):
    tried = []
    real = queries.page_of

    def page_of(rows, *, order, cursor):
        tried.append(order)
        if order == "-id":
            raise queries.TakesTooLong("too long")
        return real(rows, order=order, cursor=cursor)

    monkeypatch.setattr(queries, "page_of", page_of)
    assert [each.email for each in queries.page_of_people(segment, cursor="").rows] == ["anna@gmail.com"]
    assert tried == ["-id", "-newest"]
