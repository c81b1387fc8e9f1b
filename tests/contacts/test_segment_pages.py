import psycopg
import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from contacts import registry
from contacts.forms.segments import drawn, edited, rules_in
from contacts.models import Contact, CustomField, List, Segment, Subscription, Suppression
from contacts.queries import segments as queries
from contacts.segments.vocabulary import Vocabulary

GMAIL = {"join": "and", "rules": [{"subject": "email", "operator": "domain", "value": "gmail.com"}]}
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
    assert (segment.name, segment.rules["rules"][0]["value"]) == ("gmail", "gmx.de")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": ""}, "Give the segment a name."),
        ({"name": "GMAIL"}, "There is a segment “GMAIL” already."),
        ({"rule.0.value": ""}, "Fill in the value."),
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
    raw = edited(rules_in(FORM), "add-group:")
    raw = edited(raw, "add-rule:1")
    assert [len(raw["rules"]), len(raw["rules"][1]["rules"])] == [2, 2]
    raw = edited(edited(raw, "remove:1.0"), "remove:0")
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
        assert edited(raw, nonsense)["join"] == "and"


def test_what_is_drawn_reads_back_as_the_same_rules(workspace):
    nested = {"join": "or", "rules": [*GMAIL["rules"], {"join": "and", "rules": GMAIL["rules"]}]}
    row = drawn(nested, Vocabulary.of(workspace), say_errors=True)
    data = {"rule.join": row.join}
    for each in (row.rows[0], row.rows[1].rows[0]):
        for name in ("subject", "operator", "value"):
            data[f"rule.{each.path}.{name}"] = getattr(each, name)
    data["rule.1.join"] = row.rows[1].join
    assert rules_in(data) == nested


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
    assert "Fill in the value." in response.text


def test_a_count_that_takes_too_long_is_given_up(sign_in, bob, monkeypatch):
    class Slow:
        def count(self):
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_sleep(5)")

    monkeypatch.setattr(queries, "COUNT_SECONDS", 0.05)
    monkeypatch.setattr("contacts.segments.matching", lambda *_: Slow())
    response = sign_in(bob).post(reverse("segment_count"), FORM)
    assert "takes longer than" in response.text
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
    assert asked[0] == asked[1] <= 15  # session, person, memberships, segments, fields, lists


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
    count = sign_in(carol).get(reverse("segment_count"), {"segment": segment.pk})
    assert "person matches" in count.text


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
    for name in ("segment_duplicate", "segment_delete"):
        assert client.post(reverse(name, args=[segment.pk])).status_code == 403
        assert client.get(reverse(name, args=[segment.pk])).status_code in (403, 405)


@pytest.mark.parametrize("name", ["segment", "segment_edit", "segment_duplicate", "segment_delete"])
def test_another_workspaces_segment_does_not_exist(sign_in, mallory, segment, name):
    client = sign_in(mallory)
    ask = client.get if name in ("segment", "segment_edit") else client.post
    assert ask(reverse(name, args=[segment.pk])).status_code == 404
    assert client.get(reverse("segment_count"), {"segment": segment.pk}).status_code == 404
    assert client.get(reverse("segment_count"), {"segment": "²"}).status_code == 404
