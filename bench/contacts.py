"""`make bench-contacts`: a workspace of a million contacts with ten attributes; one JSON line for each part.

`ARGS="export --contacts 100000"` measures some parts, or fewer people.
"""

import argparse
import json
import os
import time

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
import django

django.setup()

from django.db import connection  # noqa: E402

from accounts.models import Workspace  # noqa: E402
from bench import processes  # noqa: E402
from bench.world import NAME, SUBSCRIPTIONS, of_its_own  # noqa: E402
from contacts.actions import exports  # noqa: E402
from contacts.jobs import run_export  # noqa: E402
from contacts.models import CustomField, ExportFormat, List  # noqa: E402
from contacts.queries.contacts import Finder  # noqa: E402

FIELDS = {
    "city": "text", "street": "text", "zip": "text", "company": "text", "language": "text",
    "points": "number", "orders": "number", "born": "date", "member": "boolean", "last_order": "date",
}  # fmt: skip
CONTACTS = """
INSERT INTO contacts_contact (workspace_id, email, first_name, last_name, attributes, created_at, updated_at)
SELECT %s, 'person' || n || '@' || (ARRAY['gmail.com', 'example.com', 'mail.example.org'])[1 + n %% 3],
       (ARRAY['Zoë', 'Anna', 'Tom', 'José', 'Kim'])[1 + n %% 5], 'Example ' || n,
       jsonb_build_object(
         'city', (ARRAY['Berlin', 'Lyon', 'Porto', 'Oslo', 'Turin'])[1 + n %% 5], 'street', n %% 999 || ' High Street',
         'zip', lpad((n %% 99999)::text, 5, '0'), 'company', 'Company ' || n %% 5000,
         'language', (ARRAY['de', 'fr', 'pt', 'en'])[1 + n %% 4], 'points', n %% 1000, 'orders', n %% 37,
         'born', to_char(date '1950-01-01' + n %% 20000, 'YYYY-MM-DD'), 'member', n %% 3 = 0,
         'last_order', to_char(date '2024-01-01' + n %% 700, 'YYYY-MM-DD')),
       now() - make_interval(mins => n %% 500000), now()
  FROM generate_series(1, %s) AS n
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--contacts", type=int, default=1_000_000)
    options = parser.parse_args()
    with of_its_own():
        workspace = a_workspace(options.contacts)
        for part in options.parts:
            print(json.dumps({"part": part} | PARTS[part](workspace, options.contacts)), flush=True)


def a_workspace(count: int) -> Workspace:
    workspace = Workspace.objects.create(name=NAME, postal_address="1 High Street, 12345 Springfield")
    for key, kind in FIELDS.items():
        CustomField.objects.create(workspace=workspace, key=key, label=key.title(), type=kind)
    everyone = List.objects.create(workspace=workspace, name="Everyone")
    with connection.cursor() as cursor:
        cursor.execute(CONTACTS, [workspace.pk, count])
        cursor.execute(SUBSCRIPTIONS, [everyone.pk, workspace.pk])
        cursor.execute("VACUUM ANALYZE contacts_contact, contacts_subscription")
    return workspace


def measure_export(workspace: Workspace, count: int) -> dict[str, object]:
    """Rows a second from the job's start to the stored file, and how far the process's memory rose meanwhile."""
    result: dict[str, object] = {}
    before = processes.memory_mb(os.getpid())
    for file_format in ExportFormat:
        # Excel's own kind of file takes ten times as long, so that some of the people do.
        search = "" if file_format == ExportFormat.CSV else "person1"
        run = exports.of_found(Finder(search=search), workspace=workspace, file_format=file_format, by=None)
        began = time.monotonic()
        run_export(export_id=run.pk)
        seconds = time.monotonic() - began
        run.refresh_from_db()
        assert run.state == "done", run.error
        result |= {
            f"{file_format}_rows": run.done_count,
            f"{file_format}_per_second": round(run.done_count / seconds),
            f"{file_format}_mb": round(run.size / 1e6, 1),
        }
        run.file.storage.delete(run.file.name)
    return result | {"rose_mb": round(processes.peak_mb(os.getpid()) - before, 1)}


PARTS = {"export": measure_export}

if __name__ == "__main__":
    main()
