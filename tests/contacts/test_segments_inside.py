"""Segments within segments, and snapshots of them."""

import pytest
from django.urls import reverse

from accounts.errors import WrongState
from contacts import segments
from contacts.actions import contacts as people
from contacts.actions import segments as actions
from contacts.jobs import take_snapshot
from contacts.models import Contact, Segment, SegmentMember
from contacts.segments.rules import RulesProblem
from tests.builders import a_contact, a_segment

GMAIL = {"subject": "email", "operator": "domain", "value": "gmail.com"}


def inside(segment, operator="in"):
    return {"subject": "segment", "operator": operator, "value": segment.pk}


def all_of(*rules):
    return {"join": "and", "rules": list(rules)}


def names(segment):
    segment.refresh_from_db()
    return sorted(segments.matching(segment, segment.workspace).values_list("email", flat=True))


@pytest.fixture
def gmail(workspace):
    return a_segment(workspace, "Gmail", GMAIL)


def test_who_is_in_another_segment_follows_its_rules(workspace, gmail, bob):
    a_contact(workspace, "anna@gmail.com")
    a_contact(workspace, "ben@example.com")
    others = actions.create(workspace, name="Others", rules=all_of(inside(gmail, "not_in")), by=bob)
    assert names(others) == ["ben@example.com"]
    actions.change(gmail, name="Example", rules=all_of({**GMAIL, "value": "example.com"}), by=bob)
    assert names(others) == ["anna@gmail.com"]


def test_a_segment_never_stands_within_itself(workspace, gmail, bob):
    with pytest.raises(RulesProblem, match="deleted or never existed"):
        actions.change(gmail, name="Gmail", rules=all_of(inside(gmail)), by=bob)
    around = actions.create(workspace, name="Around", rules=all_of(inside(gmail)), by=bob)
    with pytest.raises(RulesProblem, match="“Gmail” would be within itself"):
        actions.change(gmail, name="Gmail", rules=all_of(inside(around)), by=bob)


def test_segments_go_three_deep_from_above_and_from_below(workspace, gmail, bob):
    second = actions.create(workspace, name="Second", rules=all_of(inside(gmail)), by=bob)
    third = actions.create(workspace, name="Third", rules=all_of(inside(second)), by=bob)
    with pytest.raises(RulesProblem, match="at most 3 deep"):
        actions.create(workspace, name="Fourth", rules=all_of(inside(third)), by=bob)
    other = actions.create(workspace, name="Other", rules=all_of(GMAIL), by=bob)
    with pytest.raises(RulesProblem, match="“Third” is made of this segment, and could not be any more"):
        actions.change(gmail, name="Gmail", rules=all_of(inside(other)), by=bob)


def test_rules_in_all_are_bounded(workspace, bob):
    many = a_segment(workspace, "Many", *[GMAIL] * 50)
    more = actions.create(workspace, name="More", rules=all_of(*[inside(many)] * 5), by=bob)
    with pytest.raises(RulesProblem, match="more than 300 rules"):
        actions.create(workspace, name="Most", rules=all_of(inside(more), inside(more)), by=bob)


@pytest.mark.django_db(transaction=True)
def test_two_that_are_saved_at_once_do_not_end_up_within_each_other(workspace, bob, at_once):
    first, second = a_segment(workspace, "First"), a_segment(workspace, "Second")

    def put(inner, outer):
        return lambda: actions.change(outer, name=outer.name, rules=all_of(inside(inner)), by=bob)

    for _ in range(20):
        for each in (first, second):
            actions.change(each, name=each.name, rules=all_of(GMAIL), by=bob)
        outcomes = at_once(put(first, second), put(second, first))
        assert sorted(isinstance(each, RulesProblem) for each in outcomes) == [False, True]


def test_a_segment_that_another_is_made_of_is_not_deleted(workspace, gmail, bob):
    around = actions.create(workspace, name="Around", rules=all_of(inside(gmail)), by=bob)
    with pytest.raises(actions.InUse, match="“Around” still uses this segment"):
        actions.delete(gmail, by=bob)
    actions.delete(around, by=bob)
    actions.delete(gmail, by=bob)
    assert not Segment.objects.exists()


def test_a_snapshot_stays_as_it_was_taken(workspace, gmail, bob):
    a_contact(workspace, "anna@gmail.com")
    snapshot = actions.freeze(gmail, by=bob)
    assert take_snapshot(segment_id=snapshot.pk) == {"people": 1}
    a_contact(workspace, "ben@gmail.com")
    actions.change(gmail, name="Gmail", rules=all_of({**GMAIL, "value": "example.com"}), by=bob)
    assert names(snapshot) == ["anna@gmail.com"]
    assert snapshot.taken_from == "Gmail: E-mail is at the domain “gmail.com”"
    assert (snapshot.people_count, snapshot.name.startswith("Gmail (")) == (1, True)
    within = actions.create(workspace, name="Within", rules=all_of(inside(snapshot)), by=bob)
    assert names(within) == ["anna@gmail.com"]


def test_whoever_is_deleted_leaves_the_snapshot(workspace, gmail, bob):
    anna = a_contact(workspace, "anna@gmail.com")
    snapshot = actions.freeze(gmail, by=bob)
    take_snapshot(segment_id=snapshot.pk)
    people.delete(anna, by=bob)
    assert names(snapshot) == []
    assert not SegmentMember.objects.exists()


def test_a_snapshot_that_is_not_taken_yet_finds_nobody_and_says_so(workspace, gmail, bob, sign_in):
    a_contact(workspace, "anna@gmail.com")
    snapshot = actions.freeze(gmail, by=bob)
    assert names(snapshot) == []
    page = sign_in(bob).get(reverse("segment", args=[snapshot.pk]))
    assert "still being taken" in page.text
    assert 'hx-trigger="load delay:1s"' in page.text
    take_snapshot(segment_id=snapshot.pk)
    assert "anna@gmail.com" in sign_in(bob).get(reverse("segment", args=[snapshot.pk])).text


def test_a_snapshot_is_taken_once_and_what_got_lost_is_queued_again(workspace, gmail, bob):
    a_contact(workspace, "anna@gmail.com")
    snapshot = actions.freeze(gmail, by=bob)
    assert actions.requeue_untaken() == 0  # its job may still be waiting
    Segment.objects.filter(pk=snapshot.pk).update(updated_at=snapshot.created_at - 2 * actions.SILENCE)
    assert actions.requeue_untaken() == 1
    assert actions.requeue_untaken() == 0
    take_snapshot(segment_id=snapshot.pk)
    a_contact(workspace, "ben@gmail.com")
    assert take_snapshot(segment_id=snapshot.pk) == {"people": 0}
    assert names(snapshot) == ["anna@gmail.com"]
    assert actions.requeue_untaken() == 0


def test_a_snapshot_is_renamed_and_neither_changed_copied_nor_frozen(workspace, gmail, bob, sign_in):
    snapshot = actions.freeze(gmail, by=bob)
    take_snapshot(segment_id=snapshot.pk)
    snapshot.refresh_from_db()
    with pytest.raises(WrongState):
        actions.change(snapshot, name="X", rules=all_of(GMAIL), by=bob)
    client = sign_in(bob)
    for name in ("segment_duplicate", "segment_freeze"):
        assert "snapshot" in client.post(reverse(name, args=[snapshot.pk]), follow=True).text
    assert Segment.objects.count() == 2
    page = reverse("segment_edit", args=[snapshot.pk])
    assert client.post(page, {"name": "gmail"}).status_code == 422
    assert client.post(page, {"name": "Spring"}).url == reverse("segment", args=[snapshot.pk])
    assert Segment.objects.get(pk=snapshot.pk).name == "Spring"


def test_a_button_freezes_a_segment(workspace, gmail, bob, sign_in):
    response = sign_in(bob).post(reverse("segment_freeze", args=[gmail.pk]))
    snapshot = Segment.objects.get(kind="snapshot")
    assert response.url == reverse("segment", args=[snapshot.pk])
    assert "Snapshot of: Gmail" in sign_in(bob).get(reverse("segments")).text


def test_a_segment_that_makes_no_sense_is_not_frozen(workspace, bob, sign_in):
    broken = a_segment(workspace, "Old", {"subject": "attribute:gone", "operator": "is", "value": "x"})
    page = sign_in(bob).post(reverse("segment_freeze", args=[broken.pk]), follow=True)
    assert "“gone” was deleted or never existed" in page.text
    assert Segment.objects.count() == 1
    assert not Contact.objects.exists()
