"""How fast a file comes to the contacts: into an empty workspace, again with every person changed, and one by one."""

import csv
import os
import random
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from django.core.files import File
from django.db import connection
from django.utils import timezone

from accounts.models import Workspace
from bench import processes
from bench.contacts.people import FIELDS
from bench.world import NAME
from contacts.actions import imports
from contacts.jobs import run_import
from contacts.models import CustomField, Import, List

ONE_BY_ONE = 5000  # people of the comparison: a statement for each, all in one transaction
UPSERT = """
INSERT INTO contacts_contact AS c (workspace_id, email, first_name, last_name, attributes, created_at, updated_at)
VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (workspace_id, lower(email)) DO UPDATE SET first_name = excluded.first_name,
    last_name = excluded.last_name, attributes = c.attributes || excluded.attributes, updated_at = excluded.updated_at
"""


def measure_import(_workspace: Workspace, count: int) -> dict[str, object]:
    """From the uploaded file to contacts that can be found, in a workspace of its own: the check, then the run."""
    workspace = _empty()
    with TemporaryDirectory() as folder:
        result = _imported(workspace, _file(folder, _people(count, 0)), count)
    return result | _one_by_one(workspace)


def measure_reimport(workspace: Workspace, count: int) -> dict[str, object]:
    """The same people once more with some cells changed in each row, so that everybody is updated; then undone."""
    workspace = _empty()
    with TemporaryDirectory() as folder:
        _imported(workspace, _file(folder, _people(count, 0)), count)
        result = _imported(workspace, _file(folder, _people(count, 1)), count)
    run = Import.objects.filter(workspace=workspace).latest("pk")
    assert run.updated_count == count
    began = time.monotonic()
    imports.undo(run, by=None)  # type: ignore[arg-type]
    run_import(import_id=run.pk)
    run.refresh_from_db()
    assert run.taken_back["restored"] == count, run.error
    return result | {"undo_per_second": round(count / (time.monotonic() - began))}


def _empty() -> Workspace:
    workspace = Workspace.objects.create(name=NAME, postal_address="1 High Street, 12345 Springfield")
    for key, kind in FIELDS.items():
        CustomField.objects.create(workspace=workspace, key=key, label=key.title(), type=kind)
    return workspace


def _people(count: int, version: int) -> Iterator[list[object]]:
    chance = random.Random(1)
    for n in range(1, count + 1):
        yield [
            f"import{n}@{('gmail.com', 'example.com', 'mail.example.org')[n % 3]}",
            ("Zoë", "Anna", "Tom", "José", "Kim")[n % 5], f"Example {n}",
            ("Berlin", "Lyon", "Porto", "Oslo", "Turin")[n % 5], f"{n % 999} High Street", f"{n % 99999:05}",
            f"Company {n % 5000}", ("de", "fr", "pt", "en")[n % 4], chance.randrange(1000) + 1000 * version, n % 37,
            f"{1950 + n % 55}-{1 + n % 12:02}-{1 + n % 28:02}", ("yes", "no", "no")[n % 3],
            f"2024-{1 + n % 12:02}-{1 + n % 28:02}",
        ]  # fmt: skip


def _file(folder: str, rows: Iterable[list[object]]) -> Path:
    path = Path(folder) / "people.csv"
    with path.open("w", newline="", encoding="utf-8") as written:
        writer = csv.writer(written)
        writer.writerow(["email", "first_name", "last_name", *FIELDS])
        writer.writerows(rows)
    return path


def _imported(workspace: Workspace, path: Path, count: int) -> dict[str, object]:
    with path.open("rb") as file:
        run = imports.upload(File(file, name="people.csv"), workspace=workspace, by=None)  # type: ignore[arg-type]
    everyone, _ = List.objects.get_or_create(workspace=workspace, name="Everyone")
    columns = ["email", "first_name", "last_name", *(f"attribute:{key}" for key in FIELDS)]
    reading = imports.reader.Reading("utf-8-sig", ",", has_header=True, notation="us")
    before, began, used = processes.memory_mb(os.getpid()), time.monotonic(), time.process_time()
    database = processes.database_cpu_seconds()
    plan = imports.Plan(reading, columns, lists=[everyone], consent_note="Bench")
    imports.check(run, plan, by=None)  # type: ignore[arg-type]
    run_import(import_id=run.pk)
    checked = time.monotonic()
    run.refresh_from_db()
    assert run.state == "checked", run.error
    imports.start(run, by=None)  # type: ignore[arg-type]
    run_import(import_id=run.pk)
    ended = time.monotonic()
    run.refresh_from_db()
    assert (run.state, run.people_count) == ("done", count), run.error
    return {
        "rows": count,
        "per_second": round(count / (ended - began)),
        "check_per_second": round(count / (checked - began)),
        "run_per_second": round(count / (ended - checked)),
        "database_seconds": round(processes.database_cpu_seconds() - database, 1),
        "python_seconds": round(time.process_time() - used, 1),
        "rose_mb": round(processes.peak_mb(os.getpid()) - before, 1),
        "peak_mb": round(processes.peak_mb(os.getpid()), 1),
    }


def _one_by_one(workspace: Workspace) -> dict[str, object]:
    """What a plain program would do."""
    import json

    rows = list(_people(ONE_BY_ONE, 2))
    began, now = time.monotonic(), timezone.now()
    with psycopg.connect(**connection.get_connection_params()) as own, own.cursor() as cursor:
        for email, first, last, *cells in rows:
            attributes = json.dumps(dict(zip(FIELDS, cells, strict=True)))
            cursor.execute(UPSERT, [workspace.pk, f"one.{email}", first, last, attributes, now, now])
    return {"one_by_one_per_second": round(ONE_BY_ONE / (time.monotonic() - began))}
