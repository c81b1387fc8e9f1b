"""What a long import costs a campaign that is being sent, and the pages that people look at meanwhile."""

import contextlib
import csv
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from django.core.files import File
from django.urls import reverse

from accounts.errors import WrongState
from accounts.models import Membership, Role, User, Workspace
from bench import processes
from bench.contacts import website
from bench.contacts.people import FIELDS
from bench.world import an_account, launch, wait_until
from campaigns.models import Campaign, State
from contacts.actions import imports
from contacts.importing.reader import Reading
from contacts.jobs import run_import
from contacts.models import Import, List
from delivery import actions
from delivery.models import Mailing

WINDOW_SECONDS = 20  # of each measurement, at a million contacts
SETTLE_SECONDS = 3  # before it, at a million, for what began or ended to be over
ROUNDS = 3  # alone, beside an import, and again; the machine's speed drifts
FEW = 10_000  # contacts, with whom the bench itself is tried, are measured once
PAUSE_SECONDS = 0.25  # between two pages: as a few people at work ask for them
WORKERS, LANES, KB = 2, 4, 20


@dataclass
class Found:
    """Messages a second of each window, and milliseconds of each page there."""

    paces: list[float] = field(default_factory=list)
    pages: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def worst(self) -> tuple[str, float]:
        """The page whose 95th of a hundred is the slowest, and its milliseconds."""
        return max(((name, _p95(took)) for name, took in self.pages.items()), key=lambda each: each[1])


def measure_sending(workspace: Workspace, count: int) -> dict[str, object]:
    """A campaign to everybody, alone and beside an import of as many more, while somebody looks at pages.

    The share of its pace that is left beside each part of the import, and the worst page's 95th percentile.
    """
    part = count / 1_000_000
    result: dict[str, object] = {}
    with TemporaryDirectory() as folder, _a_sink() as sink, website.running() as port:
        path = _file(folder, count)
        runs = {"check": _uploaded(workspace, path), "merge": _checked(_uploaded(workspace, path))}
        account = an_account(workspace, sink.address, LANES)
        person = _somebody(workspace)
        cookie = website.signed_in(person)
        with processes.workers(WORKERS) as workers:
            for task, run in runs.items():
                mailing = launch(account, kb=KB)  # one for each, since a million are through in five minutes
                wait_until(mailing, workers, lambda mailing=mailing: mailing.accepted_count > 0)
                site = website.Site(port, cookie, _pages(workspace, mailing, run))
                alone, beside = Found(), Found()
                for _ in range(ROUNDS if count > FEW else 1):
                    _measure(mailing, site, part, alone)
                    with _at_work(run, task):
                        _measure(mailing, site, part, beside)
                result |= _told(task, alone, beside, was_sent_all_along=_end(mailing, run))
        _clean(runs.values())
        person.delete()
    return result


def _told(task: str, alone: Found, beside: Found, *, was_sent_all_along: bool) -> dict[str, object]:
    slowest, ms = beside.worst()
    return {
        f"{task}_was_sent_all_along": was_sent_all_along,
        f"{task}_alone_per_second": [round(each) for each in alone.paces],
        f"{task}_beside_per_second": [round(each) for each in beside.paces],
        f"{task}_share": round(sum(beside.paces) / sum(alone.paces), 3) if sum(alone.paces) else None,
        f"{task}_worst_page": slowest,
        f"{task}_worst_page_p95_ms": ms,
        f"{task}_pages_p95_ms": {name: _p95(took) for name, took in beside.pages.items()},
        f"{task}_pages_alone_p95_ms": {name: _p95(took) for name, took in alone.pages.items()},
    }


def _p95(took: list[float]) -> float:
    return round(sorted(took)[min(int(len(took) * 0.95), len(took) - 1)], 1)


def _measure(mailing: Mailing, site: website.Site, part: float, found: Found) -> None:
    """One window's pace and pages. part: of a million."""
    time.sleep(SETTLE_SECONDS * part)
    before, began = _accepted(mailing), time.monotonic()
    while True:
        for name in site.pages:
            found.pages[name].append(site.milliseconds(name))
            time.sleep(PAUSE_SECONDS * part)
        if time.monotonic() - began >= WINDOW_SECONDS * part:
            break
    found.paces.append((_accepted(mailing) - before) / (time.monotonic() - began))


def _accepted(mailing: Mailing) -> int:
    mailing.refresh_from_db(fields=["accepted_count"])
    return mailing.accepted_count


def _end(mailing: Mailing, run: Import) -> bool:
    """Cancel both. Whether there was something to send until now."""
    with contextlib.suppress(WrongState):  # few are all sent, or imported, by now
        imports.cancel(run, by=None)
    mailing.refresh_from_db(fields=["state"])
    if was_sent_all_along := mailing.state == "sending":
        actions.cancel(mailing)
    return was_sent_all_along


def _somebody(workspace: Workspace) -> User:
    person, _ = User.objects.get_or_create(email="bench@volley.example")
    Membership.objects.create(workspace=workspace, user=person, role=Role.OWNER)
    return person


def _pages(workspace: Workspace, mailing: Mailing, run: Import) -> dict[str, str]:
    campaign = Campaign.objects.create(
        workspace=workspace, name="Bench", mailing=mailing, state=State.SENDING
    )
    everyone = List.objects.get(workspace=workspace, name="Everyone")
    return {
        "home": reverse("home"),
        "contacts": reverse("contacts"),
        "contacts_found": reverse("contacts") + "?q=nakamura",
        "list": reverse("list", args=[everyone.pk]),
        "report": reverse("campaign_report", args=[campaign.pk]),
        "import": reverse("import", args=[run.pk]),
    }


@contextlib.contextmanager
def _a_sink() -> Iterator[processes.OwnSink | processes.PostfixSink]:
    sink = processes.a_sink()
    try:
        yield sink
    finally:
        sink.stop()


# --- The import -----------------------------------------------------------------------------------------


def _uploaded(workspace: Workspace, path: Path) -> Import:
    """With its columns chosen, and its check in the queue."""
    with path.open("rb") as file:
        run = imports.upload(File(file, name="people.csv"), workspace=workspace, by=None)
    columns = ["email", "first_name", "last_name", *(f"attribute:{key}" for key in FIELDS)]
    reading = Reading("utf-8-sig", ",", has_header=True, notation="us")
    everyone = List.objects.get(workspace=workspace, name="Everyone")
    imports.check(run, imports.Plan(reading, columns, lists=[everyone], consent_note="Bench"), by=None)
    return run


def _checked(run: Import) -> Import:
    run_import(import_id=run.pk)
    return run


@contextlib.contextmanager
def _at_work(run: Import, task: str) -> Iterator[None]:
    """The import in the hands of a worker, which is told to stop at the end: the next one goes on from there."""
    run.refresh_from_db(fields=["state"])
    if task == "merge" and run.state == "checked":
        imports.start(run, by=None)
    worker = _a_worker()
    try:
        _wait_for_rows(run, worker)
        yield
    finally:
        worker.terminate()
        worker.wait()


def _a_worker(*options: str) -> subprocess.Popen:
    command = [sys.executable, "manage.py", "rqworker", "bulk", "--verbosity", "0", *options]
    return subprocess.Popen([*command, "--worker-class", "config.worker.Worker"])


def _wait_for_rows(run: Import, worker: subprocess.Popen) -> None:
    """Until it has gone on, or is through, as with few people."""
    run.refresh_from_db(fields=["done_count", "state"])
    before = run.done_count
    while run.done_count == before and run.state in ("queued", "running"):
        if worker.poll() is not None:
            raise SystemExit("The worker of the import ended.")
        time.sleep(0.1)
        run.refresh_from_db(fields=["done_count", "state"])


def _clean(runs: Iterable[Import]) -> None:
    """Take back what they had done, and leave nothing of their files."""
    _a_worker("--burst").wait()
    for run in runs:
        run.file.storage.delete(run.file.name)


def _file(folder: str, count: int) -> Path:
    path = Path(folder) / "people.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        write = csv.writer(file).writerow
        write(["email", "first_name", "last_name", *FIELDS])
        for n in range(count):
            write(_row(n))
    return path


def _row(n: int) -> Sequence[object]:
    place = (
        ("Berlin", "Lyon", "Porto")[n % 3],
        f"{n % 999} High Street",
        f"{n % 99999:05}",
        f"Company {n % 5000}",
    )
    day = f"{1950 + n % 50}-{1 + n % 12:02}-{1 + n % 28:02}"
    return (
        f"import{n}@mail.example.org",
        "Zoë",
        f"Example {n}",
        *place,
        "de",
        n % 1000,
        n % 37,
        day,
        "yes",
        day,
    )
