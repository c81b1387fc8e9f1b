"""Double opt-in, the whole way: signed up, asked by mail exactly once, confirmed by the link and by nothing else."""

import email
import email.policy
import re
from datetime import timedelta

import django_rq
import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry
from contacts.actions import confirmations
from contacts.actions.subscriptions import unsubscribe
from contacts.models import Contact, List, Subscription, Suppression
from delivery import registry
from delivery.accounts import set_aside, use_again
from delivery.actions import pause
from delivery.confirming import asking, standing
from delivery.confirming.wording import BODY, SUBJECT
from delivery.links import confirm_token, read_confirm_token, unsubscribe_token
from delivery.models import Confirmation, Delivery, Mailing
from delivery.pipeline import dispatch
from delivery.pipeline.sweep import sweep
from tests.builders import a_contact, a_list, an_account
from tests.delivery.test_pipeline import make_due, work_all

pytestmark = pytest.mark.django_db


@pytest.fixture
def news(workspace, account):
    account.is_default = True
    account.save()
    made = a_list(workspace, "Garden news", opt_in="double")
    Confirmation.objects.create(
        list=made, subject=SUBJECT, body=BODY, from_name="Acme", from_email="hello@acme.example"
    )
    return made


@pytest.fixture
def phone():
    """Whoever opens a link in a mail: no session, and the CSRF check is on."""
    return Client(enforce_csrf_checks=True)


def sign_up(workspace, news, address="anna@example.com", **fields):
    contact = a_contact(workspace, address, **fields)
    confirmations.ask(contact, lists=[news], source="Form on the web site", ip="192.0.2.7")
    return Subscription.objects.get(contact=contact, list=news)


def ask_and_send():
    """What clock and workers do. Returns how many were asked."""
    count = asking.ask_waiting()
    for mailing in Mailing.objects.filter(state="sending", confirms__isnull=False):
        work_all(mailing)
    return count


def letters(server):
    return [email.message_from_bytes(source, policy=email.policy.default) for _, source in server.messages]


def link_in(letter) -> str:
    return re.search(r"http\S+(/confirm/\S+/)", letter.get_body(("plain",)).get_content())[1]


def test_the_whole_way_from_signing_up_to_a_subscription(workspace, news, server, phone):
    held = sign_up(workspace, news, first_name="BUY NOW http://spam.example")
    assert ask_and_send() == 1
    (letter,) = letters(server)
    assert letter["Subject"] == "Please confirm: Garden news"
    assert letter["From"] == "Acme <hello@acme.example>"
    assert letter["To"] == "anna@example.com"
    assert "spam.example" not in letter.as_string()
    assert "192.0.2.7" not in letter.as_string()
    html = letter.get_body(("html",)).get_content()
    assert f'{link_in(letter)}"' in html
    held.refresh_from_db()
    assert (held.status, held.confirmation_count) == ("pending", 1)

    page = phone.get(link_in(letter))
    assert "a…@example.com" in page.text
    assert "anna@example.com" not in page.text
    answer = phone.post(link_in(letter), {"do": "confirm"}, follow=True)
    assert "You are subscribed" in answer.text
    held.refresh_from_db()
    assert held.status == "subscribed"
    assert held.consent_source.startswith("Confirmed by the link in the mail of ")
    assert held.consent_source.endswith("(before: Form on the web site)")
    assert held.consent_ip == "127.0.0.1"
    assert timezone.now() - held.consent_at < timedelta(minutes=1)
    assert AuditEntry.objects.filter(verb="contact.confirmed").count() == 1


@pytest.mark.parametrize("method", ["get", "head", "options"])
def test_a_scanner_that_opens_the_link_confirms_nobody(workspace, news, server, phone, method):
    held = sign_up(workspace, news)
    ask_and_send()
    getattr(phone, method)(link_in(letters(server)[0]))
    phone.post(link_in(letters(server)[0]), {"do": "something else"})
    held.refresh_from_db()
    assert held.status == "pending"


def test_a_second_press_keeps_the_first_record(workspace, news, server, phone):
    held = sign_up(workspace, news)
    ask_and_send()
    for _ in range(2):
        assert (
            "You are subscribed"
            in phone.post(link_in(letters(server)[0]), {"do": "confirm"}, follow=True).text
        )
    assert AuditEntry.objects.filter(verb="contact.confirmed").count() == 1
    held.refresh_from_db()
    assert held.consent_source.count("Confirmed") == 1


def test_nobody_is_asked_twice_however_often_the_clock_ticks(workspace, news, server):
    sign_up(workspace, news)
    assert [ask_and_send() for _ in range(3)] == [1, 0, 0]
    assert len(server.messages) == 1
    assert Mailing.objects.count() == 1


def test_an_import_of_many_is_one_mailing(workspace, news, server):
    people = Contact.objects.bulk_create(
        Contact(workspace=workspace, email=f"p{number}@example.com") for number in range(300)
    )
    Subscription.objects.bulk_create(
        Subscription(workspace=workspace, contact=each, list=news, status="pending") for each in people
    )
    assert ask_and_send() == 300
    assert Mailing.objects.get().accepted_count == 300
    assert len({str(letter["To"]) for letter in letters(server)}) == 300


def test_the_next_turn_asks_whom_one_turn_had_no_room_for(workspace, news, server, monkeypatch):
    monkeypatch.setattr(asking, "MOST_AT_ONCE", 2)
    for number in range(5):
        sign_up(workspace, news, f"p{number}@example.com")
    assert [ask_and_send() for _ in range(4)] == [2, 2, 1, 0]
    assert len(server.messages) == 5


@pytest.mark.django_db(transaction=True)
def test_two_clocks_and_a_job_at_once_ask_each_person_once(workspace, news, server, at_once):
    for turn in range(15):
        people = [a_contact(workspace, f"p{turn}-{number}@example.com") for number in range(3)]
        Subscription.objects.bulk_create(
            Subscription(workspace=workspace, contact=each, list=news, status="pending") for each in people
        )
        at_once(asking.ask_waiting, lambda: asking.ask(news.pk))
        asking.ask_waiting()
    asked = Delivery.objects.values_list("email", flat=True)
    assert len(asked) == len(set(asked)) == 45
    assert set(Subscription.objects.values_list("confirmation_count", flat=True)) == {1}


def test_a_clock_killed_before_the_commit_asks_later_and_once(workspace, news, server, monkeypatch):
    sign_up(workspace, news)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("delivery.actions._begin", killed)
        with pytest.raises(KeyboardInterrupt):
            asking.ask_waiting()
    assert not Mailing.objects.exists()
    assert Subscription.objects.get().confirmation_asked_at is None
    assert ask_and_send() == 1
    assert len(server.messages) == 1


def test_the_suppressed_are_never_mailed_and_do_not_hold_up_the_others(
    workspace, news, server, carol, sign_in
):
    held = sign_up(workspace, news, "Gone@example.com")
    Suppression.objects.create(workspace=workspace, email="gone@example.com", reason="complaint")
    assert ask_and_send() == 0
    assert not Mailing.objects.exists()
    held.refresh_from_db()
    assert (held.status, held.confirmation_count) == ("pending", 0)
    assert "Passed over" in sign_in(carol).get(reverse("contact", args=[held.contact_id])).text
    sign_up(workspace, news)
    assert ask_and_send() == 1
    assert [str(letter["To"]) for letter in letters(server)] == ["anna@example.com"]


@pytest.mark.parametrize(
    ("then", "code"),
    [
        (lambda held: unsubscribe(held.contact, source="By phone"), "unsubscribed"),
        (lambda held: confirmations.confirm(held, source="Form", ip=None), "confirmed"),
        (
            lambda held: Suppression.objects.create(
                workspace=held.workspace, email=held.contact.email, reason="manual"
            ),
            "suppressed",
        ),
        (lambda held: held.contact.delete(), "erased"),
    ],
)
def test_what_happens_before_the_mail_leaves_keeps_it_from_leaving(workspace, news, server, then, code):
    held = sign_up(workspace, news)
    assert asking.ask_waiting() == 1
    then(held)
    work_all(Mailing.objects.get())
    assert server.messages == []
    assert Delivery.objects.get().code == code


def test_a_list_that_is_single_or_archived_asks_nobody(workspace, news, server):
    held = sign_up(workspace, news)
    for fields in ({"opt_in": "single"}, {"opt_in": "double", "archived_at": timezone.now()}):
        List.objects.filter(pk=news.pk).update(**fields)
        assert (ask_and_send(), asking.ask(news.pk)) == (0, 0)
        with pytest.raises(confirmations.NotAsked):
            confirmations.ask_again(Subscription.objects.get(pk=held.pk))
    List.objects.filter(pk=news.pk).update(archived_at=None)
    assert ask_and_send() == 1


def test_one_person_is_mailed_at_once_and_not_only_by_the_clock(
    workspace, news, server, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        sign_up(workspace, news)
    queue = django_rq.get_queue("system")
    assert [job.func_name for job in queue.jobs] == ["delivery.jobs.ask_to_confirm"]
    queue.jobs[0].perform()
    assert Mailing.objects.get().total_count == 1


def test_a_confirmation_overtakes_a_campaign_and_also_when_it_is_tried_again(
    workspace, news, account, people, send_to_news, server, django_capture_on_commit_callbacks
):
    people(3)
    with django_capture_on_commit_callbacks(execute=True):
        campaign = send_to_news()
    queue = django_rq.get_queue("send")
    for _ in range(20):
        with transaction.atomic():
            dispatch.queue_one(campaign.pk)
    before = queue.job_ids
    sign_up(workspace, news)
    with django_capture_on_commit_callbacks(execute=True):
        asking.ask_waiting()
        for _ in range(20):
            dispatch.queue_one(campaign.pk)
    asks = Mailing.objects.get(confirms=news)
    assert queue.job_ids[0].startswith(f"send-{asks.pk}-")
    assert len(before) < len(queue.job_ids)
    queue.remove(queue.job_ids[0])  # lost, or put off by a server that asks for later
    with django_capture_on_commit_callbacks(execute=True):
        sweep()
    assert queue.job_ids[0].startswith(f"send-{asks.pk}-")


def test_many_confirmations_take_turns_with_campaigns(workspace, news):
    people = Contact.objects.bulk_create(
        Contact(workspace=workspace, email=f"p{number}@example.com") for number in range(60)
    )
    Subscription.objects.bulk_create(
        Subscription(workspace=workspace, contact=each, list=news, status="pending") for each in people
    )
    asking.ask_waiting()
    assert not Mailing.objects.get().is_urgent


# --- The link ----------------------------------------------------------------------------------------------


@pytest.fixture
def asked(workspace, news, server):
    """Somebody who was asked, and the address in their mail."""
    held = sign_up(workspace, news)
    ask_and_send()
    held.refresh_from_db()
    return held, link_in(letters(server)[0])


def test_a_link_outlives_a_new_secret_key(asked, phone, settings):
    held, link = asked
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "a new one, as long as it has to be, and random"
    assert phone.post(link, {"do": "confirm"}, follow=True).status_code == 200
    held.refresh_from_db()
    assert held.status == "subscribed"


def test_a_link_that_was_tampered_with_says_nothing(asked, phone, settings, news, workspace):
    held, link = asked
    token = link.split("/")[-2]
    mailing = Mailing.objects.get()
    others = [
        token[:-2] + ("AA" if token[-2:] != "AA" else "BB"),
        token[:20],
        "x",
        unsubscribe_token(mailing.pk, 1),  # the other links of the same mail do not confirm
        confirm_token(mailing.pk, 2),
        confirm_token(mailing.pk + 1, 1),
    ]
    settings.SECRET_KEY = "somebody else's key, which signs what it likes"
    others.append(confirm_token(mailing.pk, 1))
    settings.SECRET_KEY = "the second key"
    for other in [*others, token]:
        for answer in (
            phone.get(reverse("confirm", args=[other])),
            phone.post(reverse("confirm", args=[other]), {"do": "confirm"}),
        ):
            assert answer.status_code == 404
            assert "Garden" not in answer.text
            assert workspace.name not in answer.text
    held.refresh_from_db()
    assert held.status == "pending"
    assert read_confirm_token(token) is None


def test_the_link_of_a_campaign_confirms_nothing(workspace, news, people, send_to_news, phone):
    people(1)
    mailing = send_to_news()
    answer = phone.get(reverse("confirm", args=[confirm_token(mailing.pk, 1)]))
    assert answer.status_code == 404


def test_an_old_link_offers_a_new_one_at_most_three_times_in_all(asked, phone, server):
    held, link = asked
    long_ago = timezone.now() - timedelta(days=31)
    for already in (1, 2, 3):
        Mailing.objects.update(created_at=long_ago)
        Subscription.objects.update(confirmation_asked_at=long_ago)
        assert "This link is too old" in phone.get(link).text
        phone.post(link, {"do": "confirm"})
        held.refresh_from_db()
        assert held.status == "pending"
        answer = phone.post(link, {"do": "ask_anew"}, follow=True)
        if already == 3:
            assert (answer.status_code, "No other message can be sent" in answer.text) == (409, True)
            break
        assert "A newer message is on its way" in answer.text
        assert ask_and_send() == 1
        assert "A newer message is on its way" in phone.post(link, {"do": "ask_anew"}, follow=True).text
        assert ask_and_send() == 0
    assert len(server.messages) == 3
    newest = link_in(letters(server)[-1])
    Mailing.objects.filter(pk=Mailing.objects.last().pk).update(created_at=timezone.now())
    assert "You are subscribed" in phone.post(newest, {"do": "confirm"}, follow=True).text


def test_who_left_meanwhile_is_asked_once_more_in_plain_words(asked, phone, workspace):
    held, link = asked
    unsubscribe(held.contact, source="By phone")
    Suppression.objects.create(workspace=workspace, email="anna@example.com", reason="unsubscribed")
    phone.post(link, {"do": "confirm"})
    held.refresh_from_db()
    assert held.status == "unsubscribed"
    assert "You are not subscribed" in phone.get(link).text
    phone.post(link, {"do": "come_back"})
    held.refresh_from_db()
    assert (held.status, held.unsubscribed_at) == ("subscribed", None)
    assert not Suppression.objects.exists()


def test_coming_back_lifts_no_complaint(asked, phone, workspace):
    held, link = asked
    unsubscribe(held.contact, source="By phone")
    Suppression.objects.create(workspace=workspace, email="anna@example.com", reason="complaint")
    phone.post(link, {"do": "come_back"})
    assert Suppression.objects.exists()


def test_an_archived_list_and_an_erased_person_have_pages_of_their_own(asked, phone, news):
    held, link = asked
    List.objects.filter(pk=news.pk).update(archived_at=timezone.now())
    assert "nothing to confirm any more" in phone.get(link).text
    phone.post(link, {"do": "confirm"})
    held.refresh_from_db()
    assert held.status == "pending"
    held.contact.delete()
    answer = phone.post(link, {"do": "confirm"}, follow=True)
    assert "There is nothing to confirm" in answer.text
    assert "Garden news" not in answer.text


def test_a_link_proves_no_address_but_its_own(asked, phone):
    held, link = asked
    Contact.objects.filter(pk=held.contact_id).update(email="boss@example.com")
    phone.post(link, {"do": "confirm"})
    held.refresh_from_db()
    assert held.status == "pending"
    assert "boss" not in phone.get(link).text


def test_one_click_in_the_mail_ends_it_and_leaves_other_lists_alone(asked, phone, workspace):
    held, _ = asked
    offers = a_list(workspace, "Offers")
    Subscription.objects.create(workspace=workspace, contact=held.contact, list=offers, status="subscribed")
    token = unsubscribe_token(Mailing.objects.get().pk, 1)
    phone.post(reverse("unsubscribe_one_click", args=[token]))
    statuses = dict(Subscription.objects.values_list("list__name", "status"))
    assert statuses == {"Garden news": "unsubscribed", "Offers": "subscribed"}
    assert not Suppression.objects.exists()


# --- What cannot leave ---------------------------------------------------------------------------------------


def test_without_a_way_out_people_wait_and_the_lists_page_says_why(
    workspace, news, account, server, alice, sign_in
):
    page = reverse("list", args=[news.pk])
    set_aside(account, by=alice)
    sign_up(workspace, news)
    assert ask_and_send() == 0
    said = sign_in(alice).get(page).text
    assert "1 person waits to be asked. The sending account “Test server” is set aside" in said
    use_again(account, by=alice)
    assert ask_and_send() == 1
    assert len(server.messages) == 1
    assert "waits to be asked" not in sign_in(alice).get(page).text


def test_confirmations_go_on_by_themselves_once_their_account_is_used_again(
    workspace, news, account, server, alice
):
    sign_up(workspace, news)
    asking.ask_waiting()
    set_aside(account, by=alice)
    assert Mailing.objects.get().state == "paused"
    assert [each.is_paused for each in standing.stuck(news)] == [True]
    use_again(account, by=alice)
    work_all(Mailing.objects.get())
    assert len(server.messages) == 1


def test_confirmations_whose_sender_is_refused_are_tried_again_by_themselves(
    workspace, news, account, server
):
    server.answers["MAIL"] = lambda _line: "553 5.7.1 Sender address rejected: not owned by user acme"
    sign_up(workspace, news)
    asking.ask_waiting()
    mailing = Mailing.objects.get()
    work_all(mailing)
    assert (mailing.state, mailing.accepted_count) == ("sending", 0)
    assert mailing.due_at > timezone.now() + timedelta(minutes=4)
    assert "not owned by user acme. Have that address or its domain verified" in standing.notes(news)[0].text
    account.refresh_from_db()
    assert account.stopped_reason == ""
    del server.answers["MAIL"]
    make_due(mailing)
    work_all(mailing)
    assert (mailing.state, mailing.accepted_count) == ("finished", 1)


def test_confirmations_leave_by_an_account_that_may_send_from_there(
    workspace, news, account, server, alice, sign_in
):
    account.sender_domains = ["other.example"]
    account.save()
    sign_up(workspace, news)
    assert ask_and_send() == 0
    said = sign_in(alice).get(f"/lists/{news.pk}/").text
    assert "“Test server” may send from other.example alone" in said
    an_account(workspace, name="Heir", settings=account.settings, stands_in=True)
    assert ask_and_send() == 1
    assert len(server.messages) == 1


def test_a_server_that_cannot_be_reached_for_long_is_tried_until_it_can(workspace, news, account, server):
    from delivery import mailings

    sign_up(workspace, news)
    asking.ask_waiting()
    mailing = Mailing.objects.select_related("account").get()
    Mailing.objects.update(trouble_since=timezone.now() - timedelta(hours=1))
    mailings.note_trouble(mailing, "refused the connection")
    assert Mailing.objects.get().state == "sending"
    assert "refused the connection" in standing.notes(news)[0].text
    make_due(mailing)
    work_all(mailing)
    assert len(server.messages) == 1


def test_paused_confirmations_are_resumed_or_given_up_by_a_marketer(
    workspace, news, server, bob, carol, mallory, sign_in
):
    sign_up(workspace, news)
    asking.ask_waiting()
    mailing = Mailing.objects.get()
    pause(mailing)
    Mailing.objects.update(state_reason="10 % were rejected.")
    page, goes_on = (
        reverse("list_confirmation", args=[news.pk]),
        reverse("list_confirmation_resume", args=[news.pk, mailing.pk]),
    )
    assert "10 % were rejected." in sign_in(bob).get(page).text
    assert sign_in(carol).post(goes_on).status_code == 403
    assert sign_in(mallory).post(goes_on).status_code == 404
    sign_in(bob).post(goes_on)
    work_all(mailing)
    assert (mailing.state, len(server.messages)) == ("finished", 1)
    sign_up(workspace, news, "ben@example.com")
    asking.ask_waiting()
    second = Mailing.objects.latest("pk")
    pause(second)
    sign_in(bob).post(reverse("list_confirmation_cancel", args=[news.pk, second.pk]))
    second.refresh_from_db()
    assert (second.state, len(server.messages)) == ("canceled", 1)


def test_a_restored_copy_asks_nobody_by_itself(workspace, news, server):
    sign_up(workspace, news)
    for tell in registry.on_copy:
        tell("This database was restored.")
    assert ask_and_send() == 0
    assert server.messages == []


def test_the_clock_asks(workspace, news):
    sign_up(workspace, news)
    for work in registry.on_tick:
        work()
    assert Mailing.objects.filter(confirms=news).count() == 1


# --- Signing up, again and again --------------------------------------------------------------------------------


def test_a_thousand_sign_ups_of_one_address_are_one_mail(workspace, news, server):
    held = sign_up(workspace, news)
    for turn in range(30):
        confirmations.ask(held.contact, lists=[news], source="Form")
        ask_and_send()
        if turn % 3 == 0:
            unsubscribe(held.contact, source="Link")
    assert len(server.messages) == 1


def test_whoever_left_and_signs_up_again_months_later_is_asked_anew(workspace, news, server):
    held = sign_up(workspace, news)
    ask_and_send()
    unsubscribe(held.contact, source="Link")
    Subscription.objects.update(
        confirmation_asked_at=timezone.now() - timedelta(days=90), confirmation_count=3
    )
    confirmations.ask(held.contact, lists=[news], source="Form")
    assert ask_and_send() == 1
    held.refresh_from_db()
    assert (held.status, held.confirmation_count) == ("pending", 1)


def test_a_subscriber_who_signs_up_again_stays_subscribed(workspace, news, server):
    contact = a_contact(workspace, subscribed_to=[news])
    assert confirmations.ask(contact, lists=[news], source="Form") == 0
    assert ask_and_send() == 0
    assert Subscription.objects.get().status == "subscribed"


def test_another_workspaces_list_is_not_signed_up_to(workspace, news, mallory):
    stranger = a_contact(mallory.workspaces.get(), "stranger@example.com")
    assert confirmations.ask(stranger, lists=[news], source="Form") == 0
    assert not Subscription.objects.exists()
