import pytest
from django.db import connection
from django.urls import reverse

from accounts.models import AuditEntry
from contacts.actions import tags as actions
from contacts.jobs import clean_tag
from contacts.models import Contact, Tag, TagCleanup
from contacts.queries.tags import COUNTS
from tests.builders import a_contact, a_tag
from tests.people import a_workspace


@pytest.fixture
def anna(workspace):
    return a_contact(workspace)


def tags_of(contact):
    contact.refresh_from_db()
    return sorted(Tag.objects.filter(pk__in=contact.tag_ids).values_list("name", flat=True))


def test_a_tag_is_added_where_it_stands_and_made_if_it_is_new(sign_in, bob, workspace, anna):
    url, client = reverse("contact_tags", args=[anna.pk]), sign_in(bob)
    part = client.post(url, {"name": "  Met at\tthe fair "}, headers={"HX-Request": "true"})
    assert part.status_code == 200
    assert "Met at the fair" in part.text
    assert "<html" not in part.text
    client.post(url, {"name": "MET at the FAIR"})
    assert tags_of(anna) == ["Met at the fair"]
    assert AuditEntry.objects.filter(verb="contact.tagged", subject=anna.email).count() == 1


def test_several_are_added_with_commas_between(sign_in, bob, workspace, anna):
    a_tag(workspace, "Graz, Austria")
    url, client = reverse("contact_tags", args=[anna.pk]), sign_in(bob)
    for typed in ("VIP, Fair", 'vip; "Oslo, Norway"', "graz, austria"):
        assert client.post(url, {"name": typed}, headers={"HX-Request": "true"}).status_code == 200
    assert tags_of(anna) == ["Fair", "Graz, Austria", "Oslo, Norway", "VIP"]


def test_a_tag_is_taken_off_and_stays_with_the_others(sign_in, bob, workspace, anna):
    tom = a_contact(workspace, "tom@example.com")
    vip, fair = a_tag(workspace, "VIP", anna, tom), a_tag(workspace, "Fair", anna)
    answer = sign_in(bob).post(reverse("contact_tags", args=[anna.pk]), {"off": vip.pk})
    assert answer.url == reverse("contact", args=[anna.pk])
    assert tags_of(anna) == ["Fair"]
    assert tags_of(tom) == ["VIP"]
    assert fair.name == "Fair"


@pytest.mark.parametrize("typed", ["", "   ", " , ", "a\0b", "x" * 61, "VIP, " + "x" * 61])
@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_what_is_no_tag_is_said(sign_in, bob, anna, typed, headers):
    answer = sign_in(bob).post(reverse("contact_tags", args=[anna.pk]), {"name": typed}, headers=headers)
    assert answer.status_code == 422
    assert 'id="tag-problem"' in answer.text
    assert tags_of(anna) == []


@pytest.mark.parametrize("off", ["x", "-1", "²", "9" * 30, "0"])
def test_a_tag_that_makes_no_sense_is_no_error(sign_in, bob, anna, off):
    assert sign_in(bob).post(reverse("contact_tags", args=[anna.pk]), {"off": off}).status_code < 500


def test_a_contact_has_at_most_fifty(sign_in, bob, workspace, anna):
    anna.tag_ids = [a_tag(workspace, f"Tag {number}").pk for number in range(50)]
    anna.save()
    answer = sign_in(bob).post(reverse("contact_tags", args=[anna.pk]), {"name": "one more"})
    assert answer.status_code == 422
    assert "at most 50 tags" in answer.text


def test_suggestions_have_the_letters_and_not_what_is_there(sign_in, carol, workspace, anna):
    a_tag(workspace, "Fair 2024", anna)
    a_tag(workspace, "Fair 2025")
    a_tag(workspace, "VIP")
    a_tag(a_workspace("Elsewhere"), "Fair elsewhere")
    url = reverse("contact_tag_suggestions", args=[anna.pk])
    assert sign_in(carol).get(url, {"name": "fair"}).text.count("<option") == 1


def test_the_contacts_are_found_by_a_tag_and_show_theirs(sign_in, carol, workspace, anna):
    tom = a_contact(workspace, "tom@example.com")
    vip = a_tag(workspace, "VIP <b>", anna)
    a_tag(workspace, "Other", tom)
    page = sign_in(carol).get(reverse("contacts"), {"tag": vip.pk}).text
    assert "anna@example.com" in page
    assert "tom@example.com" not in page
    assert "VIP &lt;b&gt;</span>" in page
    theirs = a_tag(a_workspace("Elsewhere"), "Theirs")
    assert "tom@example.com" in sign_in(carol).get(reverse("contacts"), {"tag": theirs.pk}).text


def test_rows_with_tags_cost_no_more_queries(sign_in, carol, workspace, django_assert_max_num_queries):
    vip = a_tag(workspace)
    for number in range(30):
        a_tag(workspace, f"Own {number}", a_contact(workspace, f"p{number}@example.com"))
    Contact.objects.filter(email="p1@example.com").update(tag_ids=[vip.pk])
    client = sign_in(carol)
    with django_assert_max_num_queries(11):
        client.get(reverse("contacts"))


def test_the_page_lists_searches_and_counts(sign_in, carol, workspace, anna):
    vip, fair = a_tag(workspace, "VIP", anna), a_tag(workspace, "Fair")
    theirs = a_tag(a_workspace("Elsewhere"), "Theirs")
    client = sign_in(carol)
    text = client.get(reverse("tags")).text
    assert text.index("Fair") < text.index("VIP")
    assert "Theirs" not in text
    assert "VIP" not in client.get(reverse("tags"), {"q": "fai"}).text
    counts = client.get(reverse("tag_counts"), {"tag": [vip.pk, fair.pk, theirs.pk, "x"]}).text
    assert f'id="tag-{vip.pk}-count" hx-swap-oob="true">1<' in counts
    assert f'id="tag-{fair.pk}-count" hx-swap-oob="true">0<' in counts
    assert str(theirs.pk) not in counts


@pytest.mark.django_db
def test_counting_goes_by_the_index(workspace):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("EXPLAIN " + COUNTS, {"workspace": workspace.pk, "tags": [1, 2]})
        plan = "\n".join(row[0] for row in cursor)
    assert "contact_tags_idx" in plan


def test_a_tag_is_made_and_renamed(sign_in, bob, workspace, anna):
    client = sign_in(bob)
    client.post(reverse("tag_new"), {"name": "VIP"})
    vip = Tag.objects.get()
    again = client.post(reverse("tag_new"), {"name": "vip"})
    assert again.status_code == 422
    assert "There is a tag “VIP” already." in again.text
    client.post(reverse("tag_edit", args=[vip.pk]), {"name": "Very important"})
    vip.refresh_from_db()
    assert vip.name == "Very important"
    client.post(reverse("tag_edit", args=[vip.pk]), {"name": "VERY important"})
    vip.refresh_from_db()
    assert vip.name == "VERY important"


def test_the_name_of_another_tag_asks_and_merges(sign_in, bob, workspace, anna):
    tom = a_contact(workspace, "tom@example.com")
    ina = a_contact(workspace, "ina@example.com")
    old, new = a_tag(workspace, "V.I.P.", anna, tom), a_tag(workspace, "VIP", tom, ina)
    client, url = sign_in(bob), reverse("tag_edit", args=[old.pk])
    asked = client.post(url, {"name": "vip"})
    assert asked.status_code == 422
    assert "Merge into “VIP”" in asked.text
    assert tags_of(anna) == ["V.I.P."]
    assert client.post(url, {"name": "vip", "merge": new.pk}).url == reverse("tags")
    assert [tags_of(each) for each in (anna, tom, ina)] == [["VIP"]] * 3
    assert tom.tag_ids == [new.pk]
    assert not Tag.objects.filter(pk=old.pk).exists()
    assert AuditEntry.objects.get(verb="tag.merged").subject == "V.I.P. → VIP"


def test_deleting_says_how_many_lose_it_and_cleans_the_contacts(sign_in, bob, workspace, anna):
    vip, fair = a_tag(workspace, "VIP", anna), a_tag(workspace, "Fair", anna)
    url = reverse("tag_delete", args=[vip.pk])
    assert "1 contact" in sign_in(bob).get(url).text
    sign_in(bob).post(url)
    anna.refresh_from_db()
    assert anna.tag_ids == [fair.pk]
    assert not TagCleanup.objects.exists()


@pytest.mark.parametrize("merged", [False, True])
def test_of_many_a_job_cleans_the_rest_and_may_run_twice(workspace, bob, monkeypatch, merged):
    monkeypatch.setattr(actions, "CHUNK", 2)
    people = [a_contact(workspace, f"p{number}@example.com") for number in range(7)]
    vip, fair = a_tag(workspace, "VIP", *people), a_tag(workspace, "Fair", people[6])
    if merged:
        actions.merge(vip, into=fair, by=bob)
    else:
        actions.delete(vip, by=bob)
    left = TagCleanup.objects.get()
    assert sum(vip.pk in each.tag_ids or len(each.tag_ids) > 1 for each in Contact.objects.all()) <= 7
    clean_tag(cleanup_id=left.pk)
    clean_tag(cleanup_id=left.pk)
    wanted = [[fair.pk] if merged or each == people[6] else [] for each in people]
    assert [each.tag_ids for each in Contact.objects.order_by("pk")] == wanted
    assert not TagCleanup.objects.exists()


def test_a_tag_that_goes_while_another_goes_into_it_takes_it_along(workspace, bob, monkeypatch):
    monkeypatch.setattr(actions, "CHUNK", 1)
    people = [a_contact(workspace, f"p{number}@example.com") for number in range(3)]
    first, second, third = a_tag(workspace, "A", *people), a_tag(workspace, "B"), a_tag(workspace, "C")
    actions.merge(first, into=second, by=bob)
    actions.merge(second, into=third, by=bob)
    for pk in TagCleanup.objects.order_by("pk").values_list("pk", flat=True):
        clean_tag(cleanup_id=pk)
    assert [each.tag_ids for each in Contact.objects.all()] == [[third.pk]] * 3


def test_what_fell_silent_is_queued_again(workspace, django_capture_on_commit_callbacks):
    TagCleanup.objects.create(workspace=workspace, tag_id=1)
    assert actions.requeue_silent() == 0
    TagCleanup.objects.update(touched_at="2020-01-01T00:00Z")
    assert (actions.requeue_silent(), actions.requeue_silent()) == (1, 0)


@pytest.mark.parametrize("name", ["tag_edit", "tag_delete"])
def test_a_viewer_may_not_and_for_mallory_it_does_not_exist(sign_in, carol, mallory, workspace, anna, name):
    url = reverse(name, args=[a_tag(workspace, "VIP", anna).pk])
    for verb in ("get", "post"):
        assert getattr(sign_in(carol), verb)(url, {"name": "x"}).status_code == 403
        assert getattr(sign_in(mallory), verb)(url, {"name": "x"}).status_code == 404
    assert tags_of(anna) == ["VIP"]
    shown = sign_in(carol).get(reverse("contact", args=[anna.pk])).text
    assert "VIP" in shown
    assert "Take off" not in shown
