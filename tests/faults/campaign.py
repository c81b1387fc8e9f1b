"""`make faults`: rounds of random faults against one whole Volley; prints one JSON line, exit code 1 if a bound broke.

Each round launches a mailing through a mail server of its own, does its deeds in the middle of it, waits for the end
and compares the ledger with what that server saw. A round can be repeated alone by what its failure says under
`again`: a round's seed is the campaign's plus its place.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from tests.volley import ROOT, Volley, parent_of

RECIPIENTS = 2000
LANES = 4
RATE = 500  # messages a second, so that a round lasts some seconds
# Some rounds go as fast as they can, to more recipients.
FREE_SHARE, FREE_RECIPIENTS = 0.3, 6000
SLOWED_RECIPIENTS = 600  # where a 421 slows the account down, to ten messages a second at worst
BEGIN_SECONDS, END_SECONDS, SILENT_SECONDS = 60.0, 100.0, 260.0
BACK_SECONDS = 40.0  # until what was killed runs again
POLL_SECONDS = 0.1
REPEATS_WITHOUT_REDIS = 20  # at most, where a worker and Redis are lost in the same instant
DOMAINS = 20
SPREAD = "UPDATE contacts_contact SET email = 'person' || id || '@d' || id %% %s || '.example' WHERE workspace_id = %s"


@dataclass(frozen=True)
class Fault:
    """deeds: to processes, all in the same instant. acts: of the mail server, for tests.faults.hostile."""

    deeds: tuple[str, ...] = ()
    acts: tuple[str, ...] = ()
    share: float = 0.03

    @property
    def killed_workers(self) -> int:
        return self.deeds.count("kill_worker") + 2 * self.deeds.count("kill_pool")

    @property
    def repeats_allowed(self) -> int:
        without_redis = {"flush_redis", "kill_redis"} & set(self.deeds)
        bound = LANES * self.killed_workers
        return max(bound, REPEATS_WITHOUT_REDIS) if without_redis and bound else bound

    def __add__(self, other: "Fault") -> "Fault":
        acts = tuple(dict.fromkeys(self.acts + other.acts))
        return Fault(self.deeds + other.deeds, acts, max(self.share, other.share))


FAULTS = {
    "kill_worker": Fault(("kill_worker",)),
    "kill_both_workers": Fault(("kill_worker", "kill_worker")),
    "kill_pool": Fault(("kill_pool",)),
    "kill_clock": Fault(("kill_clock",)),
    "term_worker": Fault(("term_worker",)),
    "term_pool": Fault(("term_pool",)),
    "flush_redis": Fault(("flush_redis",)),
    "kill_redis": Fault(("kill_redis",)),
    "restart_postgres": Fault(("restart_postgres",)),
    "kill_worker_and_flush_redis": Fault(("kill_worker", "flush_redis")),
    "kill_worker_and_redis": Fault(("kill_worker", "kill_redis")),
    "kill_redis_and_restart_postgres": Fault(("kill_redis", "restart_postgres")),
    "sink_closes": Fault(acts=("close",)),
    "sink_hangs": Fault(acts=("hang",), share=0.01),
    "sink_is_silent": Fault(acts=("silence",), share=0.01),
    "sink_says_421": Fault(acts=("421",)),
    "sink_says_4xx": Fault(acts=("4xx",), share=0.06),
    "sink_says_5xx": Fault(acts=("5xx",), share=0.06),
    "sink_talks_garbage": Fault(acts=("garbage",)),
    "sink_does_everything": Fault(acts=("close", "hang", "421", "4xx", "5xx", "garbage"), share=0.05),
    "sink_refuses_the_account": Fault(acts=("refuse",)),
}
ANOTHER_SHARE = 0.4  # of rounds in which a second fault comes along


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--faults", default="", help="one a round, comma-separated; a+b: both in one round")
    options = parser.parse_args()
    seed = random.randrange(10**6) if options.seed is None else options.seed
    names = options.faults.split(",") if options.faults else _dealt(options.rounds, seed)
    began = time.monotonic()
    volley = Volley(LOG_LEVEL="WARNING", RETRY_FIRST_SECONDS="1")
    try:
        _be_inside(volley)
        rounds = []
        for at, name in enumerate(names):
            rounds.append(Round(volley, name, seed + at).play())
            if volley.process.poll() is not None:
                break  # Volley itself ended; that broke the round's bounds, too
    finally:
        volley.stop()
    failures = [each for each in rounds if each["broke"]]
    result = {"rounds": len(rounds)}
    result |= {key: sum(each[key] for each in rounds) for key in COUNTED}
    result |= {"faults": Counter(part for name in names for part in name.split("+")), "seed": seed}
    print(json.dumps(result | {"seconds": round(time.monotonic() - began), "failures": failures}), flush=True)
    return 1 if failures else 0


COUNTED = ("lost", "repeated", "in_doubt_repeats", "recipients")


def _dealt(count: int, seed: int) -> list[str]:
    """Every fault once before any comes again; to some of them a second one."""
    dice = random.Random(seed)
    deck: list[str] = []
    while len(deck) < count:
        deck += dice.sample(list(FAULTS), len(FAULTS))
    return [
        f"{name}+{dice.choice([other for other in FAULTS if other != name])}"
        if dice.random() < ANOTHER_SHARE
        else name
        for name in deck[:count]
    ]


def _be_inside(volley: Volley) -> None:
    """Django of this process works on that Volley's data from here on."""
    for name in ("DATABASE_URL", "REDIS_URL"):
        os.environ.pop(name, None)
    os.environ.update(volley.environment | {"DJANGO_SETTINGS_MODULE": "config.settings"})
    import django

    django.setup()


class Round:
    """One mailing, and what happens to it."""

    def __init__(self, volley: Volley, name: str, seed: int) -> None:
        self.volley, self.name, self.seed = volley, name, seed
        parts = [FAULTS[part] for part in name.split("+")]
        self.fault = sum(parts[1:], parts[0])
        self.moments = [part.deeds for part in parts if part.deeds]
        self.dice = random.Random(seed)
        self.recipients, self.rate = self._size()
        self.broke: list[str] = []

    def _size(self) -> tuple[int, int | None]:
        """How many recipients, and how many messages a second at most."""
        is_free = self.dice.random() < FREE_SHARE
        if "421" in self.fault.acts:
            return SLOWED_RECIPIENTS, RATE
        return (FREE_RECIPIENTS, None) if is_free else (RECIPIENTS, RATE)

    def play(self) -> dict:
        began = time.monotonic()
        sink = Sink(self.fault, self.seed, lock_step=self.dice.random() < 0.25)
        try:
            self._begin(sink.port)
            for deeds in self.moments:
                self._wait(self._is_under_way(self.dice.randrange(100, self.recipients // 2)), BEGIN_SECONDS)
                for deed in deeds:
                    getattr(self, f"_{deed}")()
            silent = "silence" in self.fault.acts
            ended = self._wait(self._is_finished, SILENT_SECONDS if silent else END_SECONDS)
            seen = sink.stop()
        finally:
            sink.kill()
        result = self._compare(seen) if ended else {"lost": 0, "repeated": 0, "in_doubt_repeats": 0}
        self._see_that_all_runs()
        result |= {
            "fault": self.name,
            "rate": self.rate,
            "recipients": self.recipients,
            "did": seen["did"],
            "broke": self.broke,
        }
        result |= {"seconds": round(time.monotonic() - began, 1)}
        result |= {"again": f"--faults {self.name} --seed {self.seed}"}
        print(json.dumps(result), file=sys.stderr, flush=True)
        if self.broke:
            print(self.volley.log_text(), file=sys.stderr, flush=True)
        return result

    def _begin(self, port: int) -> None:
        from django.db import connection, transaction

        from bench.world import a_newsletter, workspace_with_contacts
        from contacts.models import Contact
        from delivery.actions import launch
        from delivery.models import SendingAccount

        workspace = workspace_with_contacts(self.recipients)
        workspace.pause_at_rejected_percent = 0
        workspace.save(update_fields=["pause_at_rejected_percent"])
        with connection.cursor() as cursor:
            cursor.execute(SPREAD, [DOMAINS, workspace.pk])
        settings = {"host": "127.0.0.1", "port": port, "security": "none", "user": ""}
        account = SendingAccount.objects.create(
            workspace=workspace,
            name="Sink",
            provider="smtp",
            settings=settings,
            lanes=LANES,
            rate_per_second=self.rate,
        )
        with transaction.atomic():
            self.mailing = launch(
                workspace=workspace,
                name=self.name,
                account=account,
                content=a_newsletter(4),
                recipients=Contact.objects.filter(workspace=workspace),
                list_ids=[],
            )

    # --- Waiting ----------------------------------------------------------------------------------------

    def _wait(self, is_so: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if _asked(is_so):
                return True
            time.sleep(POLL_SECONDS)
        # As it was seen last: the database may be what is away.
        words = f"{self.mailing.state} ({self.mailing.state_reason}), {self.mailing.accepted_count} accepted"
        self.broke.append(f"not {is_so.__name__.strip('_')} within {seconds:.0f} s: {words}")
        return False

    def _is_under_way(self, count: int) -> Callable[[], bool]:
        def under_way() -> bool:
            self.mailing.refresh_from_db()
            return self.mailing.accepted_count >= count or self.mailing.state != "sending"

        return under_way

    def _is_finished(self) -> bool:
        self.mailing.refresh_from_db()
        if self.mailing.state == "paused":
            self._resume()
        return self.mailing.state == "finished"

    def _resume(self) -> None:
        """As a person would, who reads why it paused and mended the account."""
        from delivery.accounts import use_again
        from delivery.actions import resume
        from tests.people import a_person

        if "refuse" not in self.fault.acts:
            self.broke.append(f"it paused itself: {self.mailing.state_reason}")
        use_again(self.mailing.account, by=a_person("alice@acme.example", workspace=self.mailing.workspace))
        resume(self.mailing)

    # --- Deeds ------------------------------------------------------------------------------------------

    def _kill_worker(self) -> None:
        os.kill(self._a_busy_worker(), signal.SIGKILL)

    def _term_worker(self) -> None:
        os.kill(self._a_busy_worker(), signal.SIGTERM)

    def _a_busy_worker(self) -> int:
        """One that holds a batch; any other, where none does just now."""
        from delivery.models import Batch

        workers = self._workers()
        holders = Batch.objects.filter(mailing=self.mailing, state="leased").values_list("worker", flat=True)
        busy = {int(worker.rpartition(":")[2]) for worker in holders}
        return self.dice.choice([pid for pid in workers if pid in busy] or workers)

    def _kill_pool(self) -> None:
        self._signal_pool(signal.SIGKILL)

    def _term_pool(self) -> None:
        self._signal_pool(signal.SIGTERM)

    def _signal_pool(self, number: int) -> None:
        os.kill(parent_of(self._workers()[0]), number)

    def _workers(self) -> list[int]:
        """The senders; where all were ended a moment ago, those that take their place."""
        deadline = time.monotonic() + BACK_SECONDS
        while not (found := self.volley.sender_pids()) and time.monotonic() < deadline:
            time.sleep(0.2)
        return found

    def _kill_clock(self) -> None:
        os.kill(_only(lambda: self.volley.pids("manage.py", "clock")), signal.SIGKILL)

    def _kill_redis(self) -> None:
        os.kill(_only(lambda: self.volley.pids("redis-server")), signal.SIGKILL)

    def _flush_redis(self) -> None:
        from accounts.queue import redis_client

        redis_client().flushall()

    def _restart_postgres(self) -> None:
        self.volley.restart_postgres()

    # --- Comparing --------------------------------------------------------------------------------------

    def _compare(self, seen: dict) -> dict:
        from delivery.models import Batch, Delivery

        self.mailing.refresh_from_db()
        rows = dict(Delivery.objects.filter(mailing=self.mailing).values_list("email", "state"))
        fates, nameless = seen["fates"], seen["nameless"]
        lost = {email: state for email, state in rows.items() if not _agrees(state, fates.get(email, ""))}
        unexplained = [
            email for email, state in lost.items() if state == "rejected" and "A" not in fates.get(email, "")
        ]
        for email in unexplained[:nameless]:  # MAIL was refused, which names nobody
            del lost[email]
        repeated, doubted = (sum(map(count, fates.values())) for count in (_repeats, _doubled))
        if len(rows) != self.recipients:
            self.broke.append(f"{len(rows)} rows in the ledger")
        if lost:
            told = {email: f"{state}, {fates.get(email, 'never seen')}" for email, state in lost.items()}
            self.broke.append(f"{len(lost)} lost, such as {dict(list(told.items())[:5])}")
        if repeated > self.fault.repeats_allowed:
            self.broke.append(f"{repeated} repeated, {self.fault.repeats_allowed} allowed")
        leased = Batch.objects.filter(mailing=self.mailing).exclude(state="done").count()
        if leased:
            self.broke.append(f"{leased} batches are not done")
        self._compare_counters()
        return {"lost": len(lost), "repeated": repeated, "in_doubt_repeats": doubted}

    def _compare_counters(self) -> None:
        from delivery.mailings import recount

        ledger = recount(self.mailing.pk)
        states = ("accepted", "rejected", "skipped", "in_doubt", "canceled")
        counters = {state: getattr(self.mailing, f"{state}_count") for state in states}
        if ledger != {state: count for state, count in counters.items() if count}:
            self.broke.append(f"the ledger has {ledger}, the counters say {counters}")

    def _see_that_all_runs(self) -> None:
        """The next round begins with everything alive again."""
        from accounts.queue import signs_of_life

        def all_back() -> bool:
            return (
                len(self.volley.sender_pids()) == 2
                and bool(self.volley.pids("manage.py", "clock"))
                and bool(signs_of_life("clock"))
                and len(signs_of_life("send")) >= 2
            )

        self._wait(all_back, BACK_SECONDS)


def _agrees(state: str, fate: str) -> bool:
    """Whether the ledger may say so of a recipient whom the mail server treated like that."""
    match state:
        case "accepted":
            return "A" in fate or "D" in fate
        case "rejected":
            return "R" in fate and "A" not in fate[fate.rindex("R") :]
        case "in_doubt":  # twice nobody knew
            return fate.count("D") + fate.count("B") >= 2
    return False


def _repeats(fate: str) -> int:
    """Messages taken after one was answered 250."""
    _, _, after = fate.partition("A")
    return after.count("A") + after.count("D")


def _doubled(fate: str) -> int:
    """Messages taken again since the mail server never answered the one before."""
    before, answered, _ = fate.partition("A")
    return max(before.count("D") + bool(answered) - 1, 0)


def _asked(is_so: Callable[[], bool]) -> bool:
    """False while PostgreSQL is away."""
    from django.db import InterfaceError, OperationalError, connection

    try:
        return is_so()
    except (OperationalError, InterfaceError):
        connection.close()
        return False


def _only(found: Callable[[], list[int]]) -> int:
    """The one process; what was killed a moment ago is waited for."""
    deadline = time.monotonic() + BACK_SECONDS
    while len(pids := found()) != 1 and time.monotonic() < deadline:
        time.sleep(0.2)
    (pid,) = pids
    return pid


class Sink:
    """The round's mail server."""

    def __init__(self, fault: Fault, seed: int, *, lock_step: bool) -> None:
        command = [sys.executable, "-m", "tests.faults.hostile", "--acts", ",".join(fault.acts)]
        command += ["--share", str(fault.share), "--seed", str(seed), *["--lock-step"] * lock_step]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
        self.port = json.loads(self._process.stdout.readline())["port"]

    def stop(self) -> dict:
        self._process.send_signal(signal.SIGTERM)
        return json.loads(self._process.communicate(timeout=30)[0])

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()


if __name__ == "__main__":
    sys.exit(main())
