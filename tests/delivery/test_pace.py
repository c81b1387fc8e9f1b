"""The pace of an account is one for all its workers, exact, and learns from what servers say."""

import itertools
import time
from datetime import UTC, date, datetime, timedelta

import pytest
from django.utils import timezone

from accounts.queue import redis_client
from delivery import accounts
from delivery.models import Delivery, Mailing
from delivery.pipeline import pace, work
from delivery.pipeline.chunk_turns import ChunkTurns
from delivery.pipeline.mold import Recipient
from delivery.pipeline.turns import Turns
from delivery.pipeline.work import work_slice
from delivery.providers import PROVIDERS
from delivery.queries import progress
from delivery.transports.base import Fate, Outcome
from delivery.transports.smtp_answers import Reply, outcome_of
from tests.at_once import beside
from tests.builders import an_account
from tests.delivery.test_pipeline import make_due, work_all

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def limit(per_second: float, key: str = "volley:pace:test") -> pace.Limit:
    return pace.Limit(key, per_second)


def test_many_lanes_share_one_rate_and_use_it_up():
    pace.reserve([limit(100)], longest_wait=0, count=200)  # so that lanes that begin late waste no turn

    def lane():
        """When each of its turns is, at the earliest and at the latest."""
        turns = []
        for _ in range(25):
            asked_at = time.monotonic()
            wait = pace.reserve([limit(100)], longest_wait=60)
            turns.append((asked_at + wait, time.monotonic() + wait))
        return turns

    turns = sorted(itertools.chain(*[each.result(30) for each in [beside(lane) for _ in range(8)]]))
    for start, _ in turns:
        assert sum(start <= earliest and latest < start + 1 for earliest, latest in turns) <= 101
    (_, first), (last, _) = turns[0], turns[-1]
    assert last - first <= 2, "two hundred turns"


def test_the_tightest_limit_holds_and_a_long_wait_reserves_nothing():
    tight, wide = limit(0.1), limit(0.5, "volley:pace:other")
    pace.reserve([tight, wide], longest_wait=0)
    assert pace.reserve([tight, wide], longest_wait=2) < -5
    assert pace.reserve([wide], longest_wait=2) >= 0, "the next turn, and not the one after it"


def test_too_fast_halves_the_rate_once_for_many_complaints_and_it_recovers_by_steps():
    assert pace.slow_down(limit(100), per_second=80) == 40
    assert pace.slow_down(limit(100), per_second=80) == 40, "other lanes heard the same"
    pace.reserve([limit(100)], longest_wait=0, count=400)
    assert 9 < pace.reserve([limit(100)], longest_wait=10) <= 10
    redis_client().hset("volley:pace:test:slow", "at", time.time() - 21)
    assert pace.slow_down(limit(100), per_second=1000) == pytest.approx(40 * 1.25**2 / 2)


def test_a_server_that_names_a_time_is_left_alone_until_then():
    pace.slow_down(limit(0), per_second=50, not_before=30)
    assert pace.reserve([limit(0)], longest_wait=1) < -25


def test_a_warm_up_ramps_by_days_and_ends_in_the_accounts_own_limit(workspace):
    account = an_account(
        workspace, warm_up=[50, 100, 250], warm_up_from=date(2026, 11, 24), rate_per_day=10_000
    )
    limits = [pace.daily_limit(account, NOON + timedelta(days=days)) for days in (-1, 0, 1, 2, 3)]
    assert limits == [50, 50, 100, 250, 10_000]


def test_no_24_hours_see_more_than_a_day_allows(workspace):
    """Whatever the hour: a count from midnight on would let twice as many leave around it."""
    account = an_account(workspace, rate_per_day=10)
    late, early = NOON.replace(hour=23, minute=50), NOON.replace(hour=23, minute=58)
    pace.open_day(account, now=late)
    assert pace.take_of_day(account, 7, now=late) == 7
    assert pace.take_of_day(account, 7, now=early) == 3
    for minutes in (3, 12 * 60, 24 * 60 - 9):
        assert pace.take_of_day(account, 1, now=early + timedelta(minutes=minutes)) == 0
    assert pace.room_at(account, now=early) == late + timedelta(hours=24, seconds=pace.BUCKET_SECONDS)
    there = late + timedelta(hours=24, seconds=pace.BUCKET_SECONDS)
    assert pace.take_of_day(account, 10, now=there) == 7
    assert pace.take_of_day(account, 10, now=early + timedelta(hours=24, seconds=pace.BUCKET_SECONDS)) == 3


def test_many_workers_take_no_more_than_a_day_allows(workspace):
    account = an_account(workspace, rate_per_day=1000)

    def worker():
        pace.open_day(account, now=NOON)
        return sum(iter(lambda: pace.take_of_day(account, 7, now=NOON), 0))

    pace.open_day(account, now=NOON)
    workers = [beside(worker) for _ in range(8)]
    assert sum(each.result(30) for each in workers) == 1000


def test_the_next_step_of_a_warm_up_makes_room_at_midnight(workspace):
    workspace.time_zone = "America/New_York"
    account = an_account(workspace, warm_up=[10, 25], warm_up_from=date(2026, 11, 24))
    evening = datetime(2026, 11, 25, 4, 59, tzinfo=UTC)
    pace.open_day(account, now=evening)
    assert pace.take_of_day(account, 20, now=evening) == 10
    assert pace.room_at(account, now=evening) == datetime(2026, 11, 25, 5, 0, tzinfo=UTC)
    assert pace.take_of_day(account, 20, now=evening + timedelta(minutes=1)) == 15


def test_a_limit_of_an_hour_is_spread_over_it(workspace):
    account = an_account(workspace, rate_per_second=50, rate_per_hour=3600)
    assert pace.account_limit(account).per_second == 1
    account.rate_per_minute = 30
    assert pace.account_limit(account).per_second == 0.5
    account.rate_per_hour = 7200
    account.rate_per_minute = None
    limit_of_it = pace.account_limit(account)
    assert sum(pace.reserve([limit_of_it], longest_wait=10) >= 0 for _ in range(40)) in (20, 21, 22)


def test_a_daily_limit_holds_the_rest_until_there_is_room_and_survives_a_flushed_redis(
    people, send_to_news, server, account
):
    account.rate_per_day = 7
    account.save()
    people(20)
    mailing = send_to_news()
    work_all(mailing)
    assert len(server.messages) == 7
    assert mailing.state == "sending"
    assert "The 7 messages a day of “Test server” are used up; it goes on at" in progress(mailing).waiting_for
    tomorrow = (timezone.now() + timedelta(hours=24)).astimezone(mailing.workspace.zone)
    assert f" on {tomorrow:%-d %b}." in progress(mailing).waiting_for, "not today at this time"
    redis_client().flushdb()
    make_due(mailing)
    work_all(mailing)
    assert len(server.messages) == 7, "the ledger knows what left, and when"
    redis_client().flushdb()
    Delivery.objects.filter(state="accepted", number__lte=4).update(
        settled_at=timezone.now() - timedelta(hours=25)
    )
    make_due(mailing)
    work_all(mailing)
    assert len(server.messages) == 11


@pytest.mark.parametrize(("a_day", "seconds"), [(7, None), (20, 5), (None, 5)])
def test_the_time_left_is_not_told_where_the_day_has_no_room_for_the_rest(
    people, send_to_news, account, monkeypatch, a_day, seconds
):
    account.rate_per_day = a_day
    account.save()
    people(20)
    mailing = send_to_news()
    monkeypatch.setattr("delivery.queries.meter.per_second", lambda _: 5.0)
    found = progress(mailing)
    assert found.seconds_left == seconds
    held = "“Test server” may send 7 messages in 24 hours; the rest follows as there is room again."
    assert found.held_to == (held if a_day == 7 else "")


def test_the_monitor_says_by_what_it_is_held_also_where_that_is_of_an_hour(
    people, send_to_news, account, monkeypatch
):
    account.rate_per_hour = 36_000
    account.save()
    people(20)
    monkeypatch.setattr("delivery.queries.meter.per_second", lambda _: 10.0)
    assert progress(send_to_news()).held_to == "Held to 10 messages a second by the limit of “Test server”."


def test_what_was_taken_of_a_day_and_did_not_leave_is_given_back(people, send_to_news, server, account):
    account.rate_per_day = 1000
    account.save()
    people(5)
    work_all(send_to_news())
    assert pace.take_of_day(account, 1000, now=timezone.now()) == 995


def test_a_call_that_is_to_be_made_again_waits_until_the_day_has_room_for_all_of_it(
    people, send_to_news, account
):
    account.rate_per_day = 7
    account.save()
    people(1)
    mailing = Mailing.objects.select_related("account__workspace", "workspace").get(pk=send_to_news().pk)
    turns = ChunkTurns(mailing, PROVIDERS["resend"])
    everybody = [Recipient(number, f"p{number}@example.com") for number in range(10)]
    assert turns.take_all(everybody, is_whole=True) == ([], 0.0, everybody)
    assert turns.wait_seconds > 60, "else workers would take it up and put it back without end"
    assert turns.take_all(everybody[:7], is_whole=True).recipients == everybody[:7]


@pytest.mark.django_db(transaction=True)
def test_a_limit_that_is_set_again_counts_what_left_without_one(people, send_to_news, account, ada):
    people(5)
    for a_day in (1000, None, 1000):
        typed = accounts.Values("Test server", account.settings, {}, {"rate_per_day": a_day})
        accounts.update(account, values=typed, by=ada)
        account.refresh_from_db()
        if len(Mailing.objects.all()) < 2:
            work_all(send_to_news())
    pace.open_day(account, now=timezone.now())
    assert pace.take_of_day(account, 1000, now=timezone.now()) == 990


def test_a_slow_domain_waits_while_the_others_go_on(people, send_to_news, server, account):
    people(12)
    mailing = send_to_news()
    slow = Delivery.objects.filter(mailing=mailing, number__lte=6)
    slow.update(email="busy@slow.example")
    pace.slow_down(pace.domain_limit(account, "slow.example"), per_second=0)
    pace.note_slowed(account, "slow.example")
    work_slice(mailing.pk)
    counts = [recipient for recipient in server.recipients() if recipient.endswith("@example.com")]
    assert len(counts) == 6
    assert server.recipients().count("busy@slow.example") <= 1


def test_a_server_that_says_too_fast_slows_its_domain_down_and_nobody_is_rejected(
    people, send_to_news, server, account
):
    server.answers["RCPT"] = lambda line: (
        "450 4.7.1 Too many messages, slow down" if "<p1" in line else "250 Ok"
    )
    people(15)
    mailing = send_to_news()
    work_all(mailing)
    assert "example.com" in pace.slowed(account)
    mailing.refresh_from_db()
    assert mailing.rejected_count == 0


def test_a_domains_lanes_are_counted_over_all_workers(workspace, account, people, send_to_news):
    people(1)
    account.domain_lanes = 1
    account.save()
    mailing = Mailing.objects.select_related("account__workspace", "workspace").get(pk=send_to_news().pk)
    first, second = Turns(mailing), Turns(mailing)
    anna, tom = Recipient(1, "anna@example.com"), Recipient(2, "tom@example.com")
    assert first.take(anna, wait=True) == 0
    assert second.take(tom, wait=True) < 0
    first.release(anna)
    assert second.take(tom, wait=True) == 0


def test_turns_taken_in_a_block_leave_one_after_the_other(people, send_to_news, account):
    people(1)
    account.rate_per_second = 1000
    account.save()
    mailing = Mailing.objects.select_related("account__workspace", "workspace").get(pk=send_to_news().pk)
    assert pace.block_size([pace.account_limit(account)]) > 1
    turns = Turns(mailing)
    began = time.monotonic()
    leave_at = []
    for number in range(200):
        wait = turns.take(Recipient(number, "anna@example.com"), wait=True)
        leave_at.append(time.monotonic() - began + wait)
    for number, at in enumerate(leave_at):
        assert at >= number / 1000 - pace.BURST_SECONDS - 0.001, "its own time, not that of its block's first"


def test_the_end_of_a_slice_wastes_no_turn(people, send_to_news, server, account, monkeypatch):
    monkeypatch.setattr(work, "LONGEST_SLICE", 0.2)
    monkeypatch.setattr(work, "SLICE_SECONDS", 0.2)
    account.rate_per_second = 40
    account.save()
    people(50)
    mailing = send_to_news()
    reserved = []

    def reserve(*arguments, **options):
        seconds = pace_reserve(*arguments, **options)
        reserved.extend([seconds] if seconds >= 0 else [])
        return seconds

    pace_reserve = pace.reserve
    monkeypatch.setattr(pace, "reserve", reserve)
    for _ in range(3):
        work_slice(mailing.pk)
    assert 0 < len(server.messages) < 50
    assert len(reserved) == len(server.messages)


def test_the_campaigns_own_pace_holds_too(people, send_to_news, server):
    people(30)
    mailing = send_to_news()
    Mailing.objects.update(rate_per_second=20)
    began = time.monotonic()
    work_slice(mailing.pk)
    seconds = time.monotonic() - began
    assert len(server.messages) <= 20 * seconds + 2


@pytest.mark.parametrize(
    ("reply", "command", "fate", "throttled"),
    [
        # What real servers say, in their own words.
        ("250 2.0.0 OK  1700000000 a1-20020a05 - gsmtp", "END", Fate.ACCEPTED, False),
        ("550 5.1.1 The email account that you tried to reach does not exist. - gsmtp", "RCPT", Fate.REJECTED, False),
        ("550 5.2.1 The email account that you tried to reach is inactive.", "RCPT", Fate.REJECTED, False),
        ("552 5.2.2 The recipient's inbox is out of storage space.", "RCPT", Fate.REJECTED, False),
        ("421 4.7.28 Gmail has detected an unusual rate of mail originating from your IP", "END", Fate.DEFERRED, True),
        ("450 4.2.1 The user you are trying to contact is receiving mail too quickly", "RCPT", Fate.DEFERRED, True),
        ("550 5.7.26 This mail has been blocked because the sender is unauthenticated.", "END", Fate.SENDER_REFUSED, False),
        ("550 5.7.515 Access denied, sending domain does not meet the required level", "END", Fate.SENDER_REFUSED, False),
        ("550 5.7.25 The sending IP address does not have a PTR record setup", "END", Fate.ACCOUNT_STOPPED, False),
        ("550 5.7.1 [203.0.113.9] Our system has detected that this message is likely spam", "END", Fate.REJECTED, False),
        ("451 4.7.650 The mail server has been temporarily rate limited due to IP reputation", "MAIL", Fate.DEFERRED, True),
        ("550 5.5.0 Requested action not taken: mailbox unavailable.", "RCPT", Fate.REJECTED, False),
        ("451 4.7.500 Server busy. Please try again later from [203.0.113.9].", "RCPT", Fate.DEFERRED, True),
        ("421 4.7.0 [TSS04] Messages temporarily deferred due to user complaints", "MAIL", Fate.DEFERRED, True),
        ("554 delivery error: dd This user doesn't have a yahoo.com account", "END", Fate.REJECTED, False),
        ("452 4.2.2 Mailbox full", "RCPT", Fate.DEFERRED, False),
        ("452 4.3.1 Insufficient system storage", "MAIL", Fate.DEFERRED, False),
        ("450 4.2.0 <a@b.example>: Recipient address rejected: Greylisted for 5 minutes", "RCPT", Fate.DEFERRED, False),
        ("451 4.7.1 Greylisting in action, please come back later", "RCPT", Fate.DEFERRED, False),
        ("421 4.7.0 Too many messages on this connection", "END", Fate.DEFERRED, False),
        ("421 4.3.2 Service shutting down", "MAIL", Fate.DEFERRED, True),
        ("454 4.7.0 Throttling failure: Maximum sending rate exceeded.", "END", Fate.DEFERRED, True),
        ("554 5.7.1 <a@b.example>: Relay access denied", "RCPT", Fate.ACCOUNT_STOPPED, False),
        ("550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain", "RCPT", Fate.ACCOUNT_STOPPED, False),
        ("530 5.7.0 Authentication Required.", "MAIL", Fate.ACCOUNT_STOPPED, False),
        ("535 5.7.8 Username and Password not accepted.", "MAIL", Fate.ACCOUNT_STOPPED, False),
        ("553 5.7.1 <x@acme.example>: Sender address rejected: not owned by user", "MAIL", Fate.SENDER_REFUSED, False),
        ("553 5.7.1 <x@acme.example>: Sender address rejected: not owned by user eve", "RCPT", Fate.SENDER_REFUSED, False),
        ("554 5.7.1 <x@acme.example>: Sender address rejected: Access denied", "MAIL", Fate.SENDER_REFUSED, False),
        ("550 5.1.8 <x@acme.example>: no such domain", "MAIL", Fate.SENDER_REFUSED, False),
        ("550 5.7.60 SMTP; Client does not have permissions to send as this sender", "END", Fate.SENDER_REFUSED, False),
        ("554 5.2.252 SendAsDenied; eve@a.example not allowed to send as x@a.example", "END", Fate.SENDER_REFUSED, False),
        ("554 The following identities failed the check: x@acme.example", "END", Fate.SENDER_REFUSED, False),
        ("550 The from address does not match a verified Sender Identity.", "END", Fate.SENDER_REFUSED, False),
        ("550 From header sender domain not verified.", "END", Fate.SENDER_REFUSED, False),
        ("550 5.7.1 Mail from 203.0.113.9 is refused", "MAIL", Fate.ACCOUNT_STOPPED, False),
        ("550 5.7.1 Sender IP blocked", "MAIL", Fate.ACCOUNT_STOPPED, False),
        ("451 4.1.8 <x@acme.example>: Sender address rejected: Domain not found", "RCPT", Fate.DEFERRED, False),
        ("550 5.4.5 Daily user sending limit exceeded.", "MAIL", Fate.ACCOUNT_STOPPED, False),
        ("552 5.3.4 Message size exceeds fixed limit", "MAIL", Fate.REJECTED, False),
        ("554 5.7.1 Client host [203.0.113.9] blocked using zen.spamhaus.org", "RCPT", Fate.REJECTED, False),
        ("500 unrecognized", "DATA", Fate.REJECTED, False),
        ("451 whatever", "END", Fate.DEFERRED, False),
    ],
)  # fmt: skip
def test_a_reply_has_one_fate_and_keeps_its_words(reply, command, fate, throttled):
    code, _, text = reply.partition(" ")
    outcome = outcome_of(Reply(int(code), text), command)
    assert (outcome.fate, outcome.throttled) == (fate, throttled)
    assert outcome.server_said == reply


def test_a_first_complaint_does_not_stop_everything(people, send_to_news, account):
    people(1)
    mailing = Mailing.objects.select_related("account__workspace", "workspace").get(pk=send_to_news().pk)
    fresh = Turns(mailing)
    fresh.slow_down(Recipient(1, "a@example.com"), Outcome(Fate.DEFERRED, throttled=True), whole_account=True)
    assert pace.slowed(account)[""] == 10
