"""`make bench-contacts`: a workspace of a million contacts with ten attributes; one JSON line for each part.

`ARGS="export --contacts 100000"` measures some parts, or fewer people.
"""

import argparse
import json
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
import django

django.setup()

from bench.contacts import bulk, exporting, importing, lists, pages, reading, segments, sending  # noqa: E402
from bench.contacts.people import a_workspace  # noqa: E402
from bench.world import of_its_own  # noqa: E402

# Each gets the workspace and how many contacts it has, and leaves it as it was.
PARTS = {
    "reading": reading.measure_reading,
    "import": importing.measure_import,
    "reimport": importing.measure_reimport,
    "export": exporting.measure_export,
    "pages": pages.measure_pages,
    "segments": segments.measure_segments,
    "lists": lists.measure_lists,
    "bulk": bulk.measure_bulk,
    "sending": sending.measure_sending,
}
OF_THEIR_OWN = {"import", "reimport"}  # workspaces


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--contacts", type=int, default=1_000_000)
    options = parser.parse_args()
    with of_its_own():
        workspace = a_workspace(0 if {*options.parts} <= OF_THEIR_OWN else options.contacts)
        for part in options.parts:
            print(json.dumps({"part": part} | PARTS[part](workspace, options.contacts)), flush=True)


if __name__ == "__main__":
    main()
