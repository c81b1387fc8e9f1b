"""Erasing a person: nothing of them is left anywhere, the numbers stay, and the address is known if it returns."""

import uuid
from urllib.parse import quote

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry, record
from contacts import fingerprints
from contacts.actions import erasure as actions
from contacts.models import (
    BulkChunk,
    BulkRun,
    Contact,
    ErasedAddress,
    Export,
    FormerContact,
    Import,
    ImportBefore,
    ImportRefusal,
    ImportState,
    Segment,
    SegmentMember,
    Suppression,
)
from contacts.queries.erasure import refused_addresses
from delivery.feedback.apply import apply
from delivery.feedback.facts import Fact, Kind, key_of
from delivery.hooks import strays
from delivery.links import unsubscribe_token
from delivery.models import Delivery, Event, InboxMessage, LinkTally, Mailing, SendingAccount, Stray
from delivery.queries import progress
from tests.builders import a_campaign, a_contact, a_field, a_list, an_account
from tests.people import a_workspace

EMAIL = "Annabel.Quist+x@example.com"
FIRST, LAST = "Annabel", "Quistorp"

TEXT_COLUMNS = """
SELECT table_name, column_name, data_type FROM information_schema.columns
 WHERE table_schema = current_schema() AND data_type IN ('text', 'character varying', 'json', 'jsonb', 'bytea', 'ARRAY')
   AND is_generated = 'NEVER' AND table_name NOT LIKE 'django_%'
"""


@pytest.fixture
def annabel(workspace):
    """Somebody who left traces everywhere."""
    a_field(workspace)
    news = a_list(workspace)
    annabel = a_contact(workspace, EMAIL, subscribed_to=[news], first_name=FIRST, last_name=LAST, city="Köln")
    account = an_account(workspace, stopped_reason=f"550 {EMAIL} refused", test_said=f"no {EMAIL.lower()}")
    said = f"550 5.1.1 <{EMAIL}>: no such user"
    for number, state in ((1, "accepted"), (2, "rejected")):
        mailing = Mailing.objects.create(
            workspace=workspace,
            name=f"Mailing {number}",
            account=account,
            content={"subject": "Hello"},
            total_count=3,
            accepted_count=number,
            state_reason=f"Refused: {EMAIL}",
            handed_over=[{"account": "Old", "accepted": 1, "why": f"{EMAIL} refused"}],
            sample_contact=annabel,
        )
        common = {"mailing": mailing, "state": state, "settled_at": timezone.now(), "code": "550 5.1.1"}
        Delivery.objects.create(
            number=1, contact=annabel, email=EMAIL, server_said=said, provider_id=f"id-{EMAIL}", **common
        )
        words = "annabel.quist+x: mailbox unknown"
        Delivery.objects.create(number=2, contact=None, email=EMAIL.upper(), server_said=words, **common)
        Delivery.objects.create(
            number=3,
            contact=a_contact(workspace, f"tom{number}@example.com"),
            email="tom@example.com",
            **common,
        )
    Suppression.objects.create(workspace=workspace, email=EMAIL.lower(), reason="complaint", note=f"{EMAIL}")
    Suppression.objects.create(
        workspace=workspace, email="tom@example.com", reason="manual", note=f"See {EMAIL}."
    )
    run = Import.objects.create(
        workspace=workspace, file_name=f"{EMAIL}.csv", encoding="utf-8", delimiter=",", error=f"at {EMAIL}",
        consent_note=f"said {FIRST} {LAST}", state=ImportState.DONE,
    )  # fmt: skip
    refusals = (f"{EMAIL};{FIRST}", f"x@;{FIRST};{LAST}", "tom@;Tom;Jones")
    for number, text in enumerate(refusals, 1):
        ImportRefusal.objects.create(run=run, row_number=number, text=text, reason=f"“{EMAIL}” is wrong")
    Export.objects.create(
        workspace=workspace,
        name=f"Contacts, with “{EMAIL}”",
        chosen={"search": EMAIL, "list": None},
        state="done",
    )
    rules = {"join": "and", "rules": [{"subject": "email", "operator": "is", "value": EMAIL}]}
    Segment.objects.create(workspace=workspace, name=f"Only {EMAIL}", rules=rules)
    InboxMessage.objects.create(
        envelope_from="a@b.example",
        envelope_to=EMAIL,
        subject=f"Hello {FIRST}",
        source=f"To: {EMAIL}".encode(),
    )
    traces_of_long_runs(workspace, annabel, run)
    mailing = Mailing.objects.order_by("pk")[0]
    for key, url in enumerate((f"https://acme.example/?email={EMAIL}", f"https://acme.example/{LAST}")):
        Event.objects.create(
            workspace=workspace,
            contact=annabel,
            mailing=mailing,
            kind="clicked",
            at=timezone.now(),
            url=url,
            key=uuid.uuid5(uuid.NAMESPACE_URL, str(key)),
        )
    for key, whose in enumerate((annabel, None)):
        Event.objects.create(
            workspace=workspace,
            contact=whose,
            mailing=mailing,
            kind="bounced",
            at=timezone.now(),
            said=f"550 5.1.1 <{EMAIL}>: User unknown",
            key=uuid.uuid5(uuid.NAMESPACE_URL, f"bounce-{key}"),
        )
    for address in (EMAIL, quote(EMAIL)):
        url = f"https://acme.example/?of={address}"
        LinkTally.objects.create(mailing=mailing, digest=uuid.uuid5(uuid.NAMESPACE_URL, url), url=url)
    Stray.objects.create(
        workspace=workspace,
        kind="bounced",
        at=timezone.now(),
        key=uuid.uuid4(),
        email=EMAIL,
        said=f"550 {LAST}",
    )
    Stray.objects.create(
        workspace=workspace, kind="bounced", at=timezone.now(), key=uuid.uuid4(), said=f"550 {EMAIL}"
    )
    a_field(workspace, "Recommended by", key="by")
    a_contact(workspace, "friend@example.com", by=EMAIL, city="Bonn")
    a_campaign(workspace, state_reason=f"The account was refused: 550 {EMAIL}")
    record(None, "contact.created", annabel)
    record(None, "export.asked", f"Contacts, with “{EMAIL}”", workspace=workspace)
    return annabel


def traces_of_long_runs(workspace, annabel, run):
    """What is kept for days to undo imports and bulk actions, and what one that waits has read."""
    before = {"run": run, "added_tag_ids": [], "updated_at": timezone.now()}
    attributes = {"city": "Köln", "by": EMAIL}
    ImportBefore.objects.create(
        contact_id=annabel.pk, first_name=FIRST, last_name=LAST, attributes=attributes, **before
    )
    friend = a_contact(workspace, "friend2@example.com")
    ImportBefore.objects.create(
        contact_id=friend.pk, first_name="Tom", last_name="Jones", attributes={"by": EMAIL}, **before
    )
    Import.objects.filter(pk=run.pk).update(
        findings={"tags": [EMAIL], "options": {"by": [EMAIL]}}, mapping=[{"label": EMAIL}], tags=[EMAIL]
    )
    deed = BulkRun.objects.create(
        workspace=workspace,
        action="set_field",
        name=f"Set By to “{EMAIL}”",
        whom=f"Contacts, with “{EMAIL}”",
        chosen={"search": EMAIL},
        parameters={"field": 1, "value": EMAIL},
        state="done",
    )
    values = [[annabel.pk, "Köln"], [friend.pk, EMAIL]]
    BulkChunk.objects.create(
        run=deed, number=0, contact_ids=[annabel.pk, friend.pk], is_done=True, earlier={"values": values}
    )
    held = [{"contact_id": annabel.pk, "consent_source": f"Form of {EMAIL}"}]
    BulkChunk.objects.create(
        run=deed, number=1, contact_ids=[annabel.pk], is_done=True, earlier={"held": held}
    )
    snapshot = Segment.objects.create(
        workspace=workspace,
        name="Taken",
        kind="snapshot",
        taken_at=timezone.now(),
        taken_from=f"Only {EMAIL}: E-mail is “{EMAIL}”",
    )
    SegmentMember.objects.create(segment=snapshot, contact=annabel)


def traces(*words: str) -> list[str]:
    """Each column of text, JSON or bytes, of any table, in which one of the words stands."""
    found = []
    with connection.cursor() as cursor:
        cursor.execute(TEXT_COLUMNS)
        columns = cursor.fetchall()
        assert len(columns) > 80
        for table, column, kind in columns:
            text = f"""encode("{column}", 'escape')""" if kind == "bytea" else f'"{column}"::text'
            for word in words:
                cursor.execute(f'SELECT 1 FROM "{table}" WHERE {text} ILIKE %s LIMIT 1', [f"%{word}%"])
                if cursor.fetchone():
                    found.append(f"{table}.{column}: {word}")
    return found


def test_the_scan_finds_what_is_there(annabel):
    found = traces(EMAIL, LAST)
    for column in (
        "contacts_contact.email", "contacts_contact.last_name", "delivery_delivery.email",
        "delivery_delivery.server_said", "contacts_importrefusal.text", "contacts_segment.rules",
        "contacts_export.chosen", "delivery_mailing.handed_over", "accounts_auditentry.subject",
        "delivery_inboxmessage.envelope_to", "contacts_suppression.note", "delivery_sendingaccount.stopped_reason",
        "delivery_event.said", "delivery_stray.email", "delivery_stray.said",
    ):  # fmt: skip
        assert any(each.startswith(f"{column}:") for each in found), column


def test_nothing_of_the_person_is_left_anywhere(sign_in, ada, workspace, annabel):
    page = reverse("contact_erase", args=[annabel.pk])
    assert sign_in(ada).post(page, {"email": f" {EMAIL.lower()} "}).url == reverse("contacts")
    assert traces(EMAIL, "annabel.quist", LAST, FIRST, "Köln") == []
    assert not Contact.objects.filter(pk=annabel.pk).exists()
    assert Contact.objects.get(email="friend@example.com").attributes == {"city": "Bonn"}


def test_the_numbers_stay_and_so_does_what_is_said_of_others(sign_in, ada, workspace, annabel):
    before = [progress(mailing) for mailing in Mailing.objects.order_by("pk")]
    rows = list(Delivery.objects.order_by("mailing_id", "number").values_list("state", "code"))
    actions.erase(annabel, by=ada)
    after = [progress(mailing) for mailing in Mailing.objects.order_by("pk")]
    assert [each.done for each in after] == [each.done for each in before]
    assert [sum(group.count for group in each.errors) for each in after] == [
        sum(group.count for group in each.errors) for each in before
    ]
    assert list(Delivery.objects.order_by("mailing_id", "number").values_list("state", "code")) == rows
    assert Delivery.objects.filter(email="tom@example.com").count() == 2
    assert ImportRefusal.objects.filter(text="tom@;Tom;Jones").count() == 0  # its reason named her
    assert Suppression.objects.get().note == "See erased person."
    assert AuditEntry.objects.get(verb="export.asked").subject == "Contacts, with “erased person”"
    assert AuditEntry.objects.get(verb="contact.created").subject == "Erased person"
    assert AuditEntry.objects.get(verb="contact.erased").user == ada
    assert SendingAccount.objects.get().stopped_reason == "550 erased person refused"


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ('Ann "Nan"', "Quist"),
        ("Ann", "Quist\\Oslo"),
        ("Zoë\u0001", "Ünal"),
        ("Ann\tB", "O'Neil/é"),
        ("李", '"明"'),
    ],
)
def test_a_name_is_masked_in_json_whatever_signs_it_holds(workspace, ada, first, last):
    person = a_contact(workspace, "quist@example.com", first_name=first, last_name=last)
    rules = {"rules": [{"subject": "x", "value": ["before", f"of {first} {last}", f"{last}, {first}"]}]}
    segment = Segment.objects.create(workspace=workspace, name="X", rules=rules)
    other = {"rules": [{"value": 'Tom "Nan" Quist'}, 7, None, True, "a\\b"]}
    untouched = Segment.objects.create(workspace=workspace, name="Y", rules=other)
    actions.erase(person, by=ada)
    segment.refresh_from_db()
    untouched.refresh_from_db()
    assert segment.rules["rules"][0]["value"] == ["before", "of erased person", "erased person"]
    assert untouched.rules == other


def test_another_address_that_holds_this_one_is_another_ones(workspace, ada):
    a_contact(workspace, "xanna@example.com")
    anna = a_contact(workspace, "anna@example.com")
    record(None, "contact.created", "xanna@example.com", workspace=workspace)
    record(None, "contact.created", "anna@example.com.au", workspace=workspace)
    actions.erase(anna, by=ada)
    subjects = set(AuditEntry.objects.filter(verb="contact.created").values_list("subject", flat=True))
    assert subjects == {"xanna@example.com", "anna@example.com.au"}


def test_elsewhere_everything_stays(workspace, ada, annabel):
    elsewhere = a_workspace("Elsewhere")
    other = a_contact(elsewhere, EMAIL, first_name=FIRST, last_name=LAST)
    mailing = Mailing.objects.create(workspace=elsewhere, name="X", account=an_account(elsewhere), content={})
    Delivery.objects.create(mailing=mailing, number=1, contact=None, email=EMAIL, server_said=EMAIL)
    Suppression.objects.create(workspace=elsewhere, email=EMAIL.lower(), reason="manual")
    record(None, "contact.created", other)
    actions.erase(annabel, by=ada)
    assert Contact.objects.get(pk=other.pk).email == EMAIL
    assert Delivery.objects.get(mailing=mailing).email == EMAIL
    assert Suppression.objects.filter(workspace=elsewhere).count() == 1
    assert AuditEntry.objects.get(workspace=elsewhere).subject == EMAIL
    assert refused_addresses(elsewhere, [EMAIL]) == set()


def test_earlier_addresses_go_too_unless_they_are_somebody_elses_now(workspace, ada, bob, sign_in):
    anna = a_contact(workspace, "old@example.com")
    record(None, "contact.created", anna)
    for email in ("given@example.com", "new@example.com"):
        url = reverse("contact_value", args=[anna.pk, "email"])
        sign_in(bob).post(url, {"email": email}, headers={"HX-Request": "true"})
    a_contact(workspace, "given@example.com")
    anna.refresh_from_db()
    actions.erase(anna, by=ada)
    assert traces("old@example.com", "new@example.com") == []
    assert refused_addresses(workspace, ["old@example.com", "NEW@example.com", "given@example.com"]) == {
        "old@example.com",
        "NEW@example.com",
    }
    assert not FormerContact.objects.exists()


def test_it_asks_in_numbers_and_for_the_address(sign_in, ada, workspace, annabel):
    client, page = sign_in(ada), reverse("contact_erase", args=[annabel.pk])
    text = " ".join(client.get(page).text.split())
    assert "in 2 messages" in text
    assert "1 exported file" in text
    assert "within 7 days" in text
    for typed in ("", "tom@example.com"):
        answer = client.post(page, {"email": typed})
        assert answer.status_code == 422
        assert "This is not the address of this contact." in answer.text
    assert Contact.objects.filter(pk=annabel.pk).exists()


def test_a_marketer_may_not(sign_in, bob, annabel):
    url = reverse("contact_erase", args=[annabel.pk])
    assert sign_in(bob).post(url, {"email": EMAIL}).status_code == 403
    assert url not in sign_in(bob).get(reverse("contact", args=[annabel.pk])).text


def test_the_links_in_their_mail_still_answer(client, workspace, ada, annabel):
    token = unsubscribe_token(Mailing.objects.order_by("pk")[0].pk, 1)
    actions.erase(annabel, by=ada)
    page = client.get(reverse("unsubscribe", args=[token]))
    assert page.status_code == 200
    assert "You are not in our records any more" in page.text
    assert client.post(reverse("unsubscribe", args=[token]), {"do": "everything"}).status_code == 302
    assert client.post(reverse("unsubscribe_one_click", args=[token])).status_code == 200
    assert not Suppression.objects.filter(email="").exists()


def test_the_report_and_the_contacts_pages_go_on(sign_in, ada, workspace, annabel):
    actions.erase(annabel, by=ada)
    text = sign_in(ada).get(reverse("erased")).text
    assert "Erased on" in text
    assert "1 address of people" in text
    assert "1 erased" in sign_in(ada).get(reverse("suppressions")).text


def add(client, email, **more):
    return client.post(reverse("contact_new"), {"email": email, **more})


def test_adding_by_hand_asks_whether_they_asked_to_come_back(sign_in, ada, bob, workspace, annabel):
    actions.erase(annabel, by=ada)
    refused = add(sign_in(bob), EMAIL.lower())
    assert refused.status_code == 422
    assert "asked to be forgotten" in refused.text
    assert "They asked to come back" in refused.text
    assert not Contact.objects.filter(email__iexact=EMAIL).exists()
    assert add(sign_in(bob), EMAIL, asked_back="on").status_code == 302
    assert Contact.objects.filter(email=EMAIL).exists()
    assert not ErasedAddress.objects.exists()
    lifted = AuditEntry.objects.get(verb="erasure.lifted")
    assert (lifted.subject, lifted.user) == (EMAIL, bob)


def test_a_word_that_nobody_needed_lifts_nothing(sign_in, ada, bob, workspace, annabel):
    actions.erase(annabel, by=ada)
    assert "They asked to come back" not in sign_in(bob).get(reverse("contact_new")).text
    add(sign_in(bob), "somebody@example.com", asked_back="on")
    assert ErasedAddress.objects.count() == 1


@pytest.mark.parametrize("way", ["edit", "value"])
def test_nobody_gets_an_erased_address_by_a_change(sign_in, ada, bob, workspace, annabel, way):
    actions.erase(annabel, by=ada)
    tom = a_contact(workspace, "tom@example.com")
    url = reverse("contact_edit", args=[tom.pk])
    if way == "value":
        url = reverse("contact_value", args=[tom.pk, "email"])
    answer = sign_in(bob).post(url, {"email": EMAIL}, headers={"HX-Request": "true"})
    assert answer.status_code == 422
    assert "They asked to come back" in answer.text
    tom.refresh_from_db()
    assert tom.email == "tom@example.com"
    sign_in(bob).post(url, {"email": EMAIL, "asked_back": "on"}, headers={"HX-Request": "true"})
    tom.refresh_from_db()
    assert tom.email == EMAIL


def test_the_hash_is_keyed_apart_and_by_workspace(settings, workspace):
    marks = {
        fingerprints.today(workspace.pk, EMAIL),
        fingerprints.today(workspace.pk + 1, EMAIL),
        fingerprints.today(workspace.pk, "other@example.com"),
    }
    settings.SECRET_KEY = "another-key"
    marks.add(fingerprints.today(workspace.pk, EMAIL))
    assert len(marks) == 4
    assert all(len(mark) == 64 and EMAIL not in mark for mark in marks)


def test_the_address_is_known_after_the_key_was_changed(settings, sign_in, ada, workspace, annabel):
    actions.erase(annabel, by=ada)
    old, client = settings.SECRET_KEY, sign_in(ada)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new-key", [old]
    assert refused_addresses(workspace, [EMAIL]) == {EMAIL}
    assert "SECRET_KEY" not in sign_in(ada).get(reverse("erased")).text
    settings.SECRET_KEY_FALLBACKS = []
    assert refused_addresses(workspace, [EMAIL]) == set()
    assert "SECRET_KEY_FALLBACKS" in sign_in(ada).get(reverse("erased")).text
    del client


def test_a_chunk_costs_next_to_nothing_where_nobody_was_erased(workspace, django_assert_num_queries):
    with django_assert_num_queries(2):  # the lock, and whether anybody was
        assert refused_addresses(workspace, (f"p{number}@example.com" for number in range(5000))) == set()


def test_a_chunk_of_many_finds_the_erased_ones(workspace, ada):
    for number in (7, 4_999):
        actions.erase(a_contact(workspace, f"p{number}@example.com"), by=ada)
    found = refused_addresses(workspace, (f"P{number}@example.com" for number in range(20_000)))
    assert found == {"P7@example.com", "P4999@example.com"}


def test_what_waits_to_be_sent_to_them_is_skipped(workspace, ada, annabel):
    from delivery.pipeline.lease import Lease  # noqa: F401
    from delivery.pipeline.load import load

    mailing = Mailing.objects.order_by("pk")[0]
    Delivery.objects.filter(mailing=mailing).update(state="pending")
    Mailing.objects.filter(pk=mailing.pk).update(is_test=True)
    mailing.refresh_from_db()
    actions.erase(annabel, by=ada)
    lease = type("Lease", (), {"first": 1, "last": 3})()
    loaded = load(mailing, lease)
    assert loaded.skipped == {1: "erased", 2: "erased", 3: "suppressed"}


def test_an_outcome_that_comes_late_writes_no_words(workspace, ada, annabel):
    from delivery.pipeline.settle import Result, settle
    from delivery.transports.base import Fate, Outcome

    mailing = Mailing.objects.order_by("pk")[0]
    Delivery.objects.filter(mailing=mailing).update(state="pending")
    actions.erase(annabel, by=ada)
    outcome = Outcome(Fate.REJECTED, code="550", server_said=f"{EMAIL} unknown", provider_id=EMAIL)
    settle(mailing, [Result(1, outcome)])
    assert Delivery.objects.get(mailing=mailing, number=1).state == "rejected"
    assert traces("annabel.quist") == []


@pytest.mark.parametrize("kind", ["bounced", "soft_bounced", "blocked", "complained", "clicked"])
def test_what_comes_back_late_writes_no_words(workspace, ada, annabel, monkeypatch, kind):
    """By our own name of the message; and by the address alone, which is then nobody's."""
    mailing = Mailing.objects.order_by("pk")[0]
    actions.erase(annabel, by=ada)
    before = Event.objects.count()
    now, said = timezone.now(), f"550 <{EMAIL}> is no user here"
    url = f"https://acme.example/?of={EMAIL}" if kind == "clicked" else ""
    told = {"email": EMAIL, "code": "5.1.1", "said": said, "url": url, "account_id": mailing.account_id}
    apply([
        Fact(workspace.pk, Kind(kind), now, key_of(now, 1), mailing.pk, 1, **told),
        Fact(workspace.pk, Kind(kind), now, key_of(now, 2), mailing.pk, None, **told),
        Fact(workspace.pk, Kind(kind), now, key_of(now, 3), None, None, **told),
    ])  # fmt: skip
    monkeypatch.setattr(strays, "_next", 0.0)
    strays.tend()
    assert Event.objects.count() == before + 1, "it counts all the same"
    assert traces("annabel.quist") == []


def test_erasing_twice_at_once_is_one(workspace, ada, annabel):
    actions.erase(annabel, by=ada)
    with pytest.raises(Contact.DoesNotExist):
        actions.erase(annabel, by=ada)


def test_an_old_deletion_can_be_made_an_erasure_of_its_messages(sign_in, ada, bob, workspace, annabel):
    """Deleted before, added again: the messages of then are found by their address."""
    sign_in(bob).post(reverse("contact_delete", args=[annabel.pk]))
    again = a_contact(workspace, EMAIL, first_name=FIRST, last_name=LAST)
    actions.erase(again, by=ada)
    assert traces("annabel.quist", LAST) == []


def test_the_ledger_is_never_read_as_a_whole(workspace):
    from delivery import people

    values = {"ids": [1], "emails": ["a@b.example"], "workspace": workspace.pk, "found": "x", "parts": "x"}
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE delivery_mailing CASCADE"
        )  # what tests before left makes its indexes look large
    mailing = Mailing.objects.create(
        workspace=workspace, account=an_account(workspace), name="Spring", content={}
    )
    Delivery.objects.bulk_create(
        Delivery(mailing=mailing, number=number, email=f"p{number}@example.com", state="accepted")
        for number in range(1, 2001)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE delivery_mailing, delivery_delivery")  # plans as of a ledger, not of few rows
    for whose, index in (
        (people.BY_CONTACT, "one_delivery_per_contact"),
        (people.BY_ADDRESS, "delivery_no_contact_idx"),
    ):
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute("EXPLAIN " + people.FORGET.format(whose=whose), values)
            plan = "\n".join(row[0] for row in cursor)
        assert index in plan
        assert "Seq Scan on delivery_delivery" not in plan
