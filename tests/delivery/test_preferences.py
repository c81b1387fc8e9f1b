"""The preference centre: what people choose by the link of a message, and that sending keeps to it."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry
from contacts.actions.erasure import erase
from contacts.actions.subscriptions import unsubscribe_by_hand
from contacts.models import Contact, FormerContact, Subscription, Suppression
from contacts.queries import timeline
from contacts.queries.person_file import written
from delivery.letter import read as read_letter
from delivery.models import Delivery, LeavingReason, Mailing, SendingAccount, SendingDomain, Tracking
from delivery.pipeline.lease import Lease
from delivery.pipeline.load import load
from delivery.preferences import limits, moving
from delivery.secrets import seal
from tests.builders import a_contact, a_domain, a_list
from tests.delivery.test_dkim import verify
from tests.delivery.test_unsubscribe import a_token, one_click, statuses
from tests.delivery.test_unsubscribe import page as unsubscribe_page


@pytest.fixture
def client():
    """A phone: no session, and the CSRF check is on."""
    return Client(enforce_csrf_checks=True)


@pytest.fixture
def news(workspace):
    return a_list(workspace, "News", is_public=True, public_description="Every Friday.")


@pytest.fixture
def offers(workspace):
    return a_list(workspace, "Offers Q3", is_public=True, public_name="Offers")


@pytest.fixture
def eve(workspace, news):
    return a_contact(workspace, "Eve@example.com", subscribed_to=[news])


@pytest.fixture
def token(workspace, eve, news):
    return a_token(workspace, eve, lists=[news])


def centre(token: str) -> str:
    return reverse("preferences", args=[token])


def save(client, token, *lists, shown, **typed):
    form = {"do": "save", "shown": [each.pk for each in shown], "list": [each.pk for each in lists], **typed}
    return client.post(centre(token), form, follow=True)


def read(client, token, **headers) -> str:
    return client.get(centre(token), headers=headers).content.decode()


def loaded(mailing: Mailing):
    lease = Lease.__new__(Lease)
    for name, value in {"first": 1, "last": 10}.items():
        object.__setattr__(lease, name, value)
    return load(mailing, lease)


def test_it_offers_public_lists_by_their_public_names(client, workspace, eve, news, offers, token):
    a_list(workspace, "Cold leads")
    a_list(workspace, "Old news", is_public=True, archived_at=timezone.now())
    shown = read(client, token)
    assert "Every Friday." in shown
    assert ">Offers<" in shown
    for hidden in ("Offers Q3", "Cold leads", "Old news", "Eve@example.com"):
        assert hidden not in shown
    assert "E…@example.com" in shown


def test_a_list_of_the_message_is_shown_though_it_is_not_public(client, workspace, eve):
    staff = a_list(workspace, "Staff")
    token = a_token(workspace, a_contact(workspace, "jo@example.com", subscribed_to=[staff]), lists=[staff])
    assert ">Staff<" in read(client, token)


def test_who_left_a_list_of_the_message_may_come_back_to_it(client, workspace, eve):
    staff = a_list(workspace, "Staff")
    jo = a_contact(workspace, "jo@example.com", subscribed_to=[staff])
    token = a_token(workspace, jo, lists=[staff])
    client.post(one_click(token))
    assert statuses(jo) == {"Staff": "unsubscribed"}
    assert ">Staff<" in read(client, token)
    save(client, token, staff, shown=[staff])
    assert statuses(jo) == {"Staff": "subscribed"}


def test_whom_somebody_else_took_off_a_list_that_is_not_public_stays_off(client, workspace, eve, alice):
    staff = a_list(workspace, "Staff")
    jo = a_contact(workspace, "jo@example.com", subscribed_to=[staff])
    token = a_token(workspace, jo, lists=[staff])
    unsubscribe_by_hand(jo, lists=[staff], by=alice)
    assert ">Staff<" not in read(client, token)
    save(client, token, staff, shown=[staff])
    assert statuses(jo) == {"Staff": "unsubscribed"}


def test_lists_are_left_and_joined_with_a_record_of_it(client, workspace, eve, news, offers, token):
    answer = save(client, token, offers, shown=[news, offers])
    assert "Saved." in answer.content.decode()
    assert statuses(eve) == {"News": "unsubscribed", "Offers Q3": "subscribed"}
    joined = Subscription.objects.get(contact=eve, list=offers)
    assert joined.consent_source == "The link in “Spring sale”, preferences"
    assert joined.consent_at
    assert joined.consent_ip == "127.0.0.1"
    assert Subscription.objects.get(contact=eve, list=news).left_by_themselves
    assert Mailing.objects.get().unsubscribed_count == 1
    assert {"contact.subscribed", "contact.unsubscribed"} <= set(
        AuditEntry.objects.values_list("verb", flat=True)
    )
    save(client, token, news, offers, shown=[news, offers])
    assert Mailing.objects.get().unsubscribed_count == 0


def test_a_list_that_the_page_did_not_show_stays(client, workspace, eve, news, offers, token):
    secret = a_list(workspace, "Secret")
    elsewhere = Subscription.objects.create(
        workspace=workspace, contact=eve, list=offers, status="subscribed"
    )
    save(client, token, news, secret, shown=[news, secret])
    elsewhere.refresh_from_db()
    assert elsewhere.status == "subscribed"
    assert statuses(eve) == {"News": "subscribed", "Offers Q3": "subscribed"}


def test_a_list_with_double_opt_in_asks_first(client, workspace, eve, news, token):
    club = a_list(workspace, "Club", is_public=True, opt_in="double")
    shown = save(client, token, news, club, shown=[news, club]).content.decode()
    assert statuses(eve) == {"News": "subscribed", "Club": "pending"}
    assert "Waits until you confirm it" in shown
    save(client, token, news, club, shown=[news, club])
    assert statuses(eve)["Club"] == "pending"
    save(client, token, news, shown=[news, club])
    assert statuses(eve)["Club"] == "unsubscribed"


def test_whoever_left_everything_may_come_back(client, workspace, eve, news, offers, token):
    client.post(centre(token), {"do": "everything"})
    assert Suppression.objects.get().reason == "unsubscribed"
    assert "You have unsubscribed from everything" in read(client, token)
    save(client, token, offers, shown=[news, offers])
    assert not Suppression.objects.exists()
    assert statuses(eve) == {"News": "unsubscribed", "Offers Q3": "subscribed"}


@pytest.mark.parametrize("reason", ["hard_bounce", "complaint", "manual"])
def test_nobody_lifts_another_suppression_by_it(client, workspace, eve, news, offers, token, reason):
    Suppression.objects.create(workspace=workspace, email="eve@example.com", reason=reason)
    assert "Nothing is sent to this address at present" in read(client, token)
    save(client, token, news, offers, shown=[news, offers])
    assert Suppression.objects.get().reason == reason
    assert "Offers Q3" not in statuses(eve)


def test_a_pause_is_kept_when_a_batch_is_sent_and_says_so(client, workspace, eve, news, token):
    mailing = Mailing.objects.get()
    save(client, token, news, shown=[news], pause="30")
    eve.refresh_from_db()
    assert eve.paused_until - timezone.now() > timedelta(days=29, hours=23)
    assert loaded(mailing).skipped == {3: "paused"}
    save(client, token, news, shown=[news], pause="0")
    assert [each.number for each in loaded(mailing).recipients] == [3]
    assert "contact.preferred" in AuditEntry.objects.values_list("verb", flat=True)


def test_a_pause_that_is_over_holds_nobody(workspace, eve, news, token):
    Contact.objects.filter(pk=eve.pk).update(paused_until=timezone.now() - timedelta(minutes=1))
    assert not loaded(Mailing.objects.get()).skipped


@pytest.mark.parametrize(
    ("frequency", "days", "is_skipped"),
    [
        ("weekly", 5, True),
        ("weekly", 6.9, False),
        ("monthly", 20, True),
        ("monthly", 28, False),
        ("", 0, False),
    ],
)
def test_less_often_counts_from_the_last_campaign(workspace, eve, news, frequency, days, is_skipped):
    a_token(workspace, eve, lists=[news])
    Delivery.objects.update(state="accepted", settled_at=timezone.now() - timedelta(days=days))
    a_token(workspace, eve, lists=[news])
    Contact.objects.update(frequency=frequency)
    assert loaded(Mailing.objects.latest("pk")).skipped == ({3: "too_often"} if is_skipped else {})


def test_of_two_campaigns_in_the_air_the_first_one_wins(workspace, eve, news):
    for _ in range(2):
        a_token(workspace, eve, lists=[news])
    Contact.objects.update(frequency="weekly")
    first, second = Mailing.objects.order_by("pk")
    assert not loaded(first).skipped
    assert loaded(second).skipped == {3: "too_often"}
    Mailing.objects.filter(pk=first.pk).update(state="canceled")
    assert not loaded(second).skipped


def test_confirmations_and_rejections_are_no_campaigns_that_count(workspace, eve, news):
    a_token(workspace, eve, lists=[news], confirms=news)
    a_token(workspace, eve, lists=[news])
    Delivery.objects.filter(mailing__confirms=news).update(state="accepted", settled_at=timezone.now())
    Delivery.objects.filter(mailing__confirms=None).update(state="rejected", settled_at=timezone.now())
    a_token(workspace, eve, lists=[news])
    Contact.objects.update(frequency="weekly")
    assert not loaded(Mailing.objects.latest("pk")).skipped


def test_nonsense_changes_nothing(client, workspace, eve, news, token):
    save(client, token, news, shown=[news], frequency="hourly", pause="9999", language="xx")
    eve.refresh_from_db()
    assert (eve.frequency, eve.paused_until, eve.language) == ("", None, "")
    for shown in ("x", "9" * 30, "-1", "²"):
        answer = client.post(centre(token), {"do": "save", "shown": shown, "list": shown})
        assert answer.status_code == 302
    assert statuses(eve) == {"News": "subscribed"}


def test_looks_change_nothing_however_often_a_scanner_looks(client, workspace, eve, news, offers, token):
    before = (
        list(Contact.objects.values()),
        list(Subscription.objects.values()),
        list(Delivery.objects.values()),
    )
    urls = [centre(token), unsubscribe_page(token), one_click(token)]
    urls.append(reverse("address", args=[moving.token_of(eve, "new@example.com")]))
    for _ in range(34):
        for url in urls:
            for ask in (client.get, client.head, client.options):
                assert ask(url).status_code in (200, 302)
    after = (
        list(Contact.objects.values()),
        list(Subscription.objects.values()),
        list(Delivery.objects.values()),
    )
    assert after == before


def test_a_test_message_changes_nothing(client, workspace, eve, news):
    token = a_token(workspace, eve, lists=[news], is_test=True)
    assert "This is a test message" in read(client, token)
    save(client, token, shown=[news], pause="30")
    client.post(centre(token), {"do": "everything"})
    client.post(centre(token), {"do": "address", "email": "new@example.com"})
    eve.refresh_from_db()
    assert (statuses(eve), eve.paused_until) == ({"News": "subscribed"}, None)


def test_links_work_for_ever_and_after_the_key_has_changed(client, workspace, eve, news, token, settings):
    Mailing.objects.update(created_at=timezone.now() - timedelta(days=4000))
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another key of this installation"
    assert save(client, token, shown=[news]).status_code == 200
    assert statuses(eve) == {"News": "unsubscribed"}
    assert client.post(one_click(token), {"List-Unsubscribe": "One-Click"}).status_code == 200


def test_too_many_changes_are_put_off_but_leaving_never_is(client, workspace, eve, news, token, monkeypatch):
    monkeypatch.setattr(limits, "SAVES", (2, 3600))
    for _ in range(2):
        save(client, token, news, shown=[news])
    answer = client.post(centre(token), {"do": "save", "shown": news.pk})
    assert answer.status_code == 429
    assert client.post(centre(f"{token}!!!!"), {"do": "save", "shown": news.pk}).status_code == 429
    assert "too often" in answer.content.decode()
    assert statuses(eve) == {"News": "subscribed"}
    assert client.post(one_click(token), {"List-Unsubscribe": "One-Click"}).status_code == 200
    assert statuses(eve) == {"News": "unsubscribed"}
    assert client.post(centre(token), {"do": "everything"}).status_code == 302
    assert Suppression.objects.get().reason == "unsubscribed"


def test_forged_links_are_told_nothing(client, token, eve, workspace):
    for bad in ("nonsense", token[:-2], "x" + token[1:]):
        assert client.get(centre(bad)).status_code == 404
        assert client.post(centre(bad), {"do": "everything"}).status_code == 404
        assert client.post(reverse("address", args=[bad])).status_code == 404


# --- Another address -----------------------------------------------------------------------------------


@pytest.fixture
def post_office(workspace, server, token):
    """The workspace's account, and mail that went out before."""
    SendingAccount.objects.update(
        is_default=True, settings={"host": "127.0.0.1", "port": server.port, "security": "none", "user": ""}
    )
    return server


def test_another_address_is_confirmed_there(client, workspace, eve, news, token, post_office, monkeypatch):
    asked = []
    monkeypatch.setattr(moving, "enqueue", lambda job, **arguments: asked.append(arguments))
    answer = client.post(centre(token), {"do": "address", "email": " New@Example.com "}, follow=True)
    assert "If the new address can be used" in answer.content.decode()
    arguments = asked[0]
    assert (arguments["contact_id"], arguments["email"].lower()) == (eve.pk, "new@example.com")
    assert moving.mail_link(eve.pk, arguments["email"], language="de") == ""
    [(recipient, source)] = post_office.messages
    letter = read_letter(source)
    assert recipient.lower() == "new@example.com"
    assert dict(letter.headers)["Subject"] == "Bitte bestätigen Sie Ihre neue Adresse"
    assert re.search(r"/address/\S+/", letter.text)[0] in letter.html
    assert "eve" not in (letter.html + letter.text).lower()
    eve.refresh_from_db()
    assert eve.email == "Eve@example.com"

    url = reverse("address", args=[moving.token_of(eve, "new@example.com")])
    shown = client.get(url).content.decode()
    assert "n…@example.com" in shown
    assert "ve@example.com" not in shown
    assert "Your address is changed" in client.post(url, follow=True).content.decode()
    eve.refresh_from_db()
    assert eve.email == "new@example.com"
    assert FormerContact.objects.get(contact=eve).email == "Eve@example.com"
    assert "contact.moved" in AuditEntry.objects.values_list("verb", flat=True)
    assert "Changed their address by the link in a mail" in [
        entry.title for entry in timeline.page(eve, [], None, kind="change").entries
    ]
    assert "Your address is changed" in client.post(url, follow=True).content.decode()
    assert statuses(eve) == {"News": "subscribed"}
    assert "n…@" in read(client, token) or "E…@" in read(client, token)  # the old link still leads to them


def test_its_link_begins_with_the_workspaces_own_domain(workspace, eve, post_office):
    Tracking.objects.create(workspace=workspace, domain="t.brand.com", domain_url="https://t.brand.com")
    assert moving.mail_link(eve.pk, "new@example.com", language="en") == ""
    [(_, source)] = post_office.messages
    assert "https://t.brand.com/address/" in read_letter(source).text


def test_the_address_of_another_contact_is_never_told_and_both_become_one(
    client, workspace, eve, news, token
):
    offers = a_list(workspace, "Offers", is_public=True)
    other = a_contact(workspace, "other@example.com", subscribed_to=[offers])
    answers = [
        client.post(centre(token), {"do": "address", "email": email}, follow=True).content
        for email in ("other@example.com", "free@example.com")
    ]
    assert answers[0] == answers[1]
    url = reverse("address", args=[moving.token_of(eve, "other@example.com")])
    assert "Your address is changed" in client.post(url, follow=True).content.decode()
    assert list(Contact.objects.of(workspace)) == [other]
    assert statuses(other) == {"News": "subscribed", "Offers": "subscribed"}
    client.post(one_click(token))
    assert statuses(other)["News"] == "unsubscribed"


def test_a_link_for_an_address_is_good_for_one_change(client, workspace, eve, token):
    first, second = (moving.token_of(eve, f"{name}@example.com") for name in ("first", "second"))
    client.post(reverse("address", args=[first]))
    assert "too old" in client.post(reverse("address", args=[second]), follow=True).content.decode()
    eve.refresh_from_db()
    assert eve.email == "first@example.com"


def test_a_suppressed_address_gets_no_mail(workspace, eve, post_office):
    Suppression.objects.create(workspace=workspace, email="gone@example.com", reason="hard_bounce")
    assert moving.mail_link(eve.pk, "Gone@example.com", language="en") == "suppressed"


def test_the_mail_to_the_new_address_is_signed_like_any_other(workspace, eve, post_office):
    domain = a_domain(workspace, "acme.example")
    assert moving.mail_link(eve.pk, "new@example.com", language="en") == ""
    [(_, source)] = post_office.messages
    assert verify(source, domain)


def test_without_its_secrets_the_account_mails_no_link_and_the_log_says_why(
    workspace, eve, post_office, settings, caplog
):
    SendingAccount.objects.update(secrets=seal({"password": "abc"}))
    a_domain(workspace, "acme.example")
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another", []
    with_key = moving.mail_link(eve.pk, "new@example.com", language="en")
    SendingDomain.objects.all().delete()
    without = moving.mail_link(eve.pk, "new@example.com", language="en")
    assert all("SECRET_KEY_FALLBACKS" in said for said in (with_key, without))
    assert caplog.text.count("address.unsent") == 2
    assert not post_office.messages


def test_what_is_no_address_is_said_beside_it(client, eve, token):
    answer = client.post(centre(token), {"do": "address", "email": "eve at home"})
    assert answer.status_code == 422
    assert "This is no e-mail address." in answer.content.decode()
    assert "eve at home" in answer.content.decode()
    after_saving = client.post(centre(token) + "?saved", {"do": "address", "email": "eve at home"})
    assert "Saved." not in after_saving.content.decode()


# --- Why they left -------------------------------------------------------------------------------------


def test_a_reason_is_asked_after_leaving_and_shown_by_list_and_campaign(
    client, workspace, eve, news, token, sign_in, carol, mallory
):
    client.post(unsubscribe_page(token), {"do": "reason", "why": "too_often", "words": "early"})
    assert not LeavingReason.objects.exists()
    client.post(unsubscribe_page(token), {"do": "lists"})
    assert "Too many messages" in client.get(unsubscribe_page(token)).content.decode()
    client.post(unsubscribe_page(token), {"do": "reason", "why": "too_often", "words": "<b>Every</b>\nday"})
    assert "Thank you" in client.get(unsubscribe_page(token)).content.decode()
    shown = sign_in(carol).get(reverse("list_reasons", args=[news.pk])).content.decode()
    assert "Too many messages" in shown
    assert "&lt;b&gt;Every&lt;/b&gt; day" in shown
    assert sign_in(mallory).get(reverse("list_reasons", args=[news.pk])).status_code == 404
    client.post(unsubscribe_page(token), {"do": "undo"})
    assert not LeavingReason.objects.exists()


def test_words_go_with_the_person_and_are_in_their_file(client, workspace, eve, news, token, alice):
    client.post(unsubscribe_page(token), {"do": "lists"})
    client.post(unsubscribe_page(token), {"do": "reason", "why": "other", "words": "Ask Eve Smith"})
    Contact.objects.update(frequency="weekly", language="de")
    file = "".join(written(Contact.objects.get()))
    assert "Ask Eve Smith" in file
    assert "At most one a week" in file
    erase(Contact.objects.get(), by=alice)
    kept = LeavingReason.objects.get()
    assert (kept.why, kept.words) == ("other", "")
