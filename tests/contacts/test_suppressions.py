import hashlib
import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import AuditEntry
from contacts.models import ListSuppression, SuppressedHash, Suppression
from tests.builders import a_contact, a_list

PAGE_QUERIES = 15


@pytest.fixture
def suppressed(workspace):
    return workspace.suppressions.create(email="anna@example.com", reason="complaint", note="Marked as spam")


def test_a_marketer_adds_many_and_each_once(sign_in, bob, workspace, suppressed):
    emails = "Ben@Example.com\r\n\r\n ben@example.com \nZoe <zoe@example.com>\nANNA@example.com"
    client = sign_in(bob)
    response = client.post(
        reverse("suppression_new"), {"emails": emails, "note": "They wrote to us"}, follow=True
    )
    assert "2 addresses suppressed. 1 on the list before." in response.text
    held = dict(workspace.suppressions.values_list("email", "reason"))
    assert held == {"anna@example.com": "complaint", "ben@example.com": "manual", "zoe@example.com": "manual"}
    assert workspace.suppressions.get(email="zoe@example.com").note == "They wrote to us"
    assert AuditEntry.objects.get(verb="suppression.added").subject == "2 addresses"


def test_bad_lines_are_named_and_nothing_is_taken(sign_in, bob):
    emails = "\n".join(["ok@example.com", "not one", "<b>@x"] + ["@"] * 9)
    response = sign_in(bob).post(reverse("suppression_new"), {"emails": emails, "note": "Kept"})
    assert response.status_code == 422
    assert "Line 2, “not one”" in response.text
    assert "Line 3, “&lt;b&gt;@x”" in response.text
    assert "Wrong lines that follow: 6." in response.text
    assert "ok@example.com" in response.text
    assert "Kept" in response.text
    assert not Suppression.objects.exists()


@pytest.mark.parametrize("emails", ["", " \n ", "a\0@example.com", "a@b.example\n" * 10_001, "x" * 3000])
def test_nonsense_is_refused(sign_in, bob, emails):
    assert sign_in(bob).post(reverse("suppression_new"), {"emails": emails}).status_code == 422


def test_search_and_reason_narrow_it(sign_in, carol, workspace, suppressed):
    workspace.suppressions.create(email="ben@example.com", reason="manual")
    client = sign_in(carol)

    def found(**query):
        return [row.email for row in client.get(reverse("suppressions"), query).context["page"].rows]

    assert found() == ["ben@example.com", "anna@example.com"]
    assert found(q="ANN") == ["anna@example.com"]
    assert found(q="\0ann", cursor="nonsense") == ["anna@example.com"]
    assert found(reason="manual") == ["ben@example.com"]
    assert found(reason="nonsense") == ["ben@example.com", "anna@example.com"]
    assert found(q="zz") == []


def test_the_number_of_queries_does_not_grow(sign_in, carol, workspace):
    client, asked = sign_in(carol), []
    for start, end in ((0, 3), (3, 30)):
        for number in range(start, end):
            workspace.suppressions.create(email=f"p{number}@example.com", reason="manual")
        with CaptureQueriesContext(connection) as made:
            client.get(reverse("suppressions"))
        asked.append(len(made))
    assert asked[0] == asked[1] <= PAGE_QUERIES  # session, person, memberships, addresses


def test_an_admin_removes_one_after_reading_what_it_means(sign_in, ada, workspace, suppressed):
    anna = a_contact(workspace, "Anna@example.com")
    page = reverse("suppression_delete", args=[suppressed.pk])
    assert "reported your mail as spam" in sign_in(ada).get(page).text
    refused = sign_in(ada).post(page, {"consent": " "})
    assert refused.status_code == 422
    assert "against their will" in refused.text
    assert Suppression.objects.exists()
    answer = sign_in(ada).post(page, {"consent": "By mail on 3 May"})
    assert answer.url == reverse("contact", args=[anna.pk])
    assert not Suppression.objects.exists()
    entry = AuditEntry.objects.get(verb="suppression.removed")
    assert (entry.user, entry.subject) == (ada, "anna@example.com: By mail on 3 May")


@pytest.mark.parametrize("reason", ["manual", "unsubscribed", "hard_bounce", "soft_bounce", "complaint"])
def test_every_reason_has_its_consequence_in_words(sign_in, ada, workspace, reason):
    held = workspace.suppressions.create(email="x@example.com", reason=reason)
    page = reverse("suppression_delete", args=[held.pk])
    assert "There is no contact with this address now" in sign_in(ada).get(page).text
    assert sign_in(ada).post(page, {"consent": "They called"}).url == reverse("suppressions")


def test_a_marketer_may_not_remove_and_for_mallory_it_does_not_exist(
    sign_in, bob, carol, mallory, suppressed
):
    page = reverse("suppression_delete", args=[suppressed.pk])
    assert sign_in(bob).post(page).status_code == 403
    assert sign_in(mallory).post(page).status_code == 404
    assert sign_in(carol).post(reverse("suppression_new")).status_code == 403
    assert "anna@example.com" not in sign_in(mallory).get(reverse("suppressions")).text


def test_an_address_comes_filled_in_from_the_contacts_page(sign_in, bob):
    assert (
        "anna+x@example.com"
        in sign_in(bob).get(reverse("suppression_new"), {"email": "anna+x@example.com"}).text
    )


def test_an_empty_page_teaches(sign_in, bob):
    assert "Nobody is suppressed" in sign_in(bob).get(reverse("suppressions")).text


def test_an_address_that_is_a_contact_leads_to_it_and_the_contact_back_to_the_list(
    sign_in, carol, workspace, suppressed, mallory
):
    anna = a_contact(workspace, "Anna@Example.com")
    a_contact(mallory.memberships.get().workspace, "ben@example.com")
    workspace.suppressions.create(email="ben@example.com", reason="manual")
    client = sign_in(carol)
    page = client.get(reverse("suppressions")).text
    assert f'<a href="{reverse("contact", args=[anna.pk])}">anna@example.com</a>' in page
    assert page.count('<a href="/contacts/') == 1  # another workspace's Ben is nobody here
    contact = client.get(reverse("contact", args=[anna.pk])).text
    assert "nothing is sent to this address" in contact
    assert "Marked as spam" in contact
    (back,) = re.findall(r'href="(/suppression/\?q=[^"]+)"', contact)
    assert [row.email for row in client.get(back).context["page"].rows] == ["anna@example.com"]


def test_the_list_asks_the_same_number_of_queries_for_three_and_thirty(sign_in, carol, workspace):
    client, asked = sign_in(carol), []
    for first, last in ((0, 3), (3, 30)):
        for number in range(first, last):
            a_contact(workspace, f"p{number}@example.com")
            workspace.suppressions.create(email=f"p{number}@example.com", reason="manual")
        with CaptureQueriesContext(connection) as queries:
            client.get(reverse("suppressions"))
        asked.append(len(queries))
    assert asked[0] == asked[1] <= PAGE_QUERIES


# --- For one list, by a file, by hash -------------------------------------------------------------------------


def test_an_address_is_suppressed_for_a_list_alone(sign_in, bob, ada, workspace):
    news = a_list(workspace, "News")
    anna = a_contact(workspace, "anna@example.com", subscribed_to=[news])
    client = sign_in(bob)
    client.post(
        reverse("suppression_new"), {"emails": "Anna@example.com", "list": news.pk, "note": "Bounced"}
    )
    assert not Suppression.objects.exists()
    held = ListSuppression.objects.get()
    assert (held.email, held.list, held.note) == ("anna@example.com", news, "Bounced")
    assert "anna@example.com" not in client.get(reverse("suppressions")).text
    page = client.get(reverse("suppressions"), {"list": news.pk}).text
    assert "anna@example.com" in page
    assert "other lists still reach them" in page
    assert "Suppressed for single lists" in client.get(reverse("contact", args=[anna.pk])).text
    sign_in(ada).post(reverse("list_suppression_delete", args=[held.pk]))
    assert not ListSuppression.objects.exists()


def test_a_file_is_taken_line_by_line_with_addresses_and_hashes(sign_in, bob, workspace):
    a_contact(workspace, "Zoe@example.com")
    digest = hashlib.sha256(b"zoe@example.com").hexdigest()
    text = f"\ufeffName;Mail;Since\r\nBen;ben@example.com;2024\r\nnobody;;\r\n{digest.upper()};;\r\n{'0' * 64}\r\n"
    file = SimpleUploadedFile("export.csv", text.encode())
    answer = sign_in(bob).post(reverse("suppression_new"), {"file": file, "note": "Old system"}, follow=True)
    assert "1 address suppressed." in answer.text
    assert "2 hashes added; 1 of your contacts fit and are suppressed." in answer.text
    assert "Lines without an address: 2." in answer.text
    assert set(Suppression.objects.values_list("email", flat=True)) == {"ben@example.com", "zoe@example.com"}
    assert SuppressedHash.objects.count() == 2


@pytest.mark.parametrize("data", [b"", b"nothing\nin here\n", b"\xff\xfe\x00", b"\0\0\0@\0", b'"' * 3000])
def test_a_file_without_addresses_is_refused(sign_in, bob, data):
    file = SimpleUploadedFile("export.csv", data)
    assert sign_in(bob).post(reverse("suppression_new"), {"file": file}).status_code == 422
    assert not Suppression.objects.exists()


def test_hashes_are_for_everything_that_is_sent(sign_in, bob, workspace):
    form = {"emails": "0" * 64, "list": a_list(workspace).pk}
    assert "choose no list" in sign_in(bob).post(reverse("suppression_new"), form).text


def test_whoever_is_let_back_is_not_known_by_hash_again(sign_in, ada, workspace):
    held = workspace.suppressions.create(email="anna@example.com", reason="manual")
    SuppressedHash.objects.create(workspace=workspace, digest=hashlib.sha256(b"anna@example.com").digest())
    sign_in(ada).post(reverse("suppression_delete", args=[held.pk]))
    assert not SuppressedHash.objects.exists()


def test_all_that_is_found_is_taken_off_but_who_wished_for_it(sign_in, ada, bob, workspace, suppressed):
    for number, reason in enumerate(("manual", "hard_bounce", "soft_bounce", "unsubscribed")):
        workspace.suppressions.create(email=f"p{number}@example.com", reason=reason)
    workspace.suppressions.create(email="other@elsewhere.example", reason="manual")
    page = reverse("suppression_lift") + "?q=example.com"
    assert sign_in(bob).post(page).status_code == 403
    shown = sign_in(ada).get(page).text
    assert "3 addresses" in shown
    assert "2 who unsubscribed or complained stay" in shown
    sign_in(ada).post(page)
    left = set(Suppression.objects.values_list("email", flat=True))
    assert left == {"anna@example.com", "p3@example.com", "other@elsewhere.example"}
    assert AuditEntry.objects.get(verb="suppression.removed").subject.startswith("3 addresses: Any reason")


def test_the_hashes_are_counted_and_can_be_forgotten(sign_in, ada, workspace):
    SuppressedHash.objects.create(workspace=workspace, digest=bytes(32))
    client = sign_in(ada)
    assert "1 more is known by hash alone" in client.get(reverse("suppressions")).text
    client.post(reverse("suppression_lift") + "?hashes=1")
    assert not SuppressedHash.objects.exists()


def test_what_is_shown_is_exported_and_no_formula_with_it(sign_in, bob, workspace, suppressed):
    workspace.suppressions.create(email="=ben@example.com", reason="manual", note="=1+1")
    answer = sign_in(bob).post(reverse("suppression_export") + "?reason=manual")
    lines = b"".join(answer.streaming_content).decode("utf-8-sig").splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("'=ben@example.com,Added by hand,'=1+1,")


def test_counts_stand_beside_the_reasons(sign_in, carol, workspace, suppressed):
    page = sign_in(carol).get(reverse("suppressions")).text
    assert "Complaint (1)" in page
    assert "Hard bounce (0)" in page


def test_another_workspaces_list_is_not_there(sign_in, mallory, bob, workspace):
    news = a_list(workspace)
    for name in ("suppressions", "suppression_lift"):
        assert sign_in(mallory).get(reverse(name), {"list": news.pk}).status_code == 404
    answer = sign_in(mallory).post(reverse("suppression_new"), {"emails": "x@example.com", "list": news.pk})
    assert answer.status_code == 422
    assert not ListSuppression.objects.exists()
    assert sign_in(bob).get(reverse("suppressions"), {"list": "nonsense"}).status_code == 404
