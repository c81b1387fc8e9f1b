"""What a long import costs a campaign that is being sent, and the pages of contacts meanwhile."""

import contextlib
import csv
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from django.core.files import File

from accounts.errors import WrongState
from accounts.models import Workspace
from bench import processes
from bench.contacts.pages import milliseconds
from bench.contacts.people import FIELDS
from bench.world import NAME, an_account, launch, wait_until, workspace_with_contacts
from contacts.actions import imports
from contacts.importing.reader import Reading
from contacts.jobs import run_import
from contacts.models import CustomField, Import, List
from contacts.queries.contacts import Finder
from delivery import actions
from delivery.models import Mailing

WINDOW_SECONDS = 20  # of each measurement, at a million contacts
ROUNDS = 2  # alone, beside an import, and again; the machine's speed drifts
WORKERS, LANES, KB = 2, 4, 20
PAGES = (Finder(), Finder("gmail"), Finder("nakamura", sort="email"), Finder("zapata-77", sort="name"))


def measure_sending(workspace: Workspace, count: int) -> dict[str, object]:
    """Messages a second alone and while as many people as there are are imported elsewhere; milliseconds of pages."""
    seconds = max(WINDOW_SECONDS * count / 1_000_000, 0.3)
    alone, beside, pages = [], [], []
    sink = processes.a_sink()
    try:
        with TemporaryDirectory() as folder, processes.workers(WORKERS) as workers:
            path = _file(folder, count)
            account = an_account(workspace_with_contacts(count // 2), sink.address, LANES)
            mailing = launch(account, kb=KB)
            wait_until(mailing, workers, lambda: mailing.accepted_count > 0)
            for _ in range(ROUNDS):
                alone.append(_pace(mailing, seconds))
                with _importing(path) as run:
                    beside.append(_pace(mailing, seconds, pages=pages, workspace=workspace))
                    run.refresh_from_db()
            mailing.refresh_from_db(fields=["state"])
            was_sent_all_along = mailing.state == "sending"
            with contextlib.suppress(WrongState):  # a few are all sent by now
                actions.cancel(mailing)
    finally:
        sink.stop()
    return {
        "alone_per_second": [round(each) for each in alone],
        "beside_an_import_per_second": [round(each) for each in beside],
        "share": round(sum(beside) / sum(alone), 3) if sum(alone) else None,
        "imported_per_second": round(run.done_count / seconds),
        "was_sent_all_along": was_sent_all_along,
        "worst_page_ms": max(pages, default=None),
    }


def _pace(
    mailing: Mailing, seconds: float, *, pages: list[float] | None = None, workspace: Workspace | None = None
) -> float:
    """Messages a second from now on. pages: gets the milliseconds of pages that are asked for meanwhile."""
    before, began = _accepted(mailing), time.monotonic()
    while (left := began + seconds - time.monotonic()) > 0:
        if workspace:
            pages.append(milliseconds(workspace, PAGES[len(pages) % len(PAGES)], ""))
        time.sleep(min(1, left))
    return (_accepted(mailing) - before) / (time.monotonic() - began)


def _accepted(mailing: Mailing) -> int:
    mailing.refresh_from_db(fields=["accepted_count"])
    return mailing.accepted_count


@contextlib.contextmanager
def _importing(path: Path) -> Iterator[Import]:
    """An import in the hands of a worker of its own; canceled at the end."""
    workspace = Workspace.objects.create(name=NAME, postal_address="1 High Street, 12345 Springfield")
    for key, kind in FIELDS.items():
        CustomField.objects.create(workspace=workspace, key=key, label=key.title(), type=kind)
    everyone = List.objects.create(workspace=workspace, name="Everyone")
    with path.open("rb") as file:
        run = imports.upload(File(file, name="people.csv"), workspace=workspace, by=None)
    columns = ["email", "first_name", "last_name", *(f"attribute:{key}" for key in FIELDS)]
    reading = Reading("utf-8-sig", ",", has_header=True, notation="us")
    imports.check(run, imports.Plan(reading, columns, lists=[everyone], consent_note="Bench"), by=None)
    run_import(import_id=run.pk)
    imports.start(run, by=None)
    command = [sys.executable, "manage.py", "rqworker", "bulk", "--burst", "--verbosity", "0"]
    worker = subprocess.Popen([*command, "--worker-class", "config.worker.Worker"])
    try:
        _wait_for_rows(run, worker)
        yield run
    finally:
        with contextlib.suppress(WrongState):  # a small one has ended
            imports.cancel(run, by=None)
        worker.wait()


def _wait_for_rows(run: Import, worker: subprocess.Popen) -> None:
    while not run.done_count and run.state != "done":
        if worker.poll() not in (None, 0):
            raise SystemExit("The worker of the import ended.")
        time.sleep(0.1)
        run.refresh_from_db(fields=["done_count", "state"])


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
