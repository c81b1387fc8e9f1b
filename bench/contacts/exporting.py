"""How fast contacts come to a file."""

import os
import time

from accounts.models import Workspace
from bench import processes
from contacts.actions import exports
from contacts.jobs import run_export
from contacts.models import ExportFormat
from contacts.queries.contacts import Finder


def measure_export(workspace: Workspace, count: int) -> dict[str, object]:
    """Rows a second from the job's start to the stored file, and how far the process's memory rose meanwhile."""
    result: dict[str, object] = {}
    before = processes.memory_mb(os.getpid())
    for file_format in ExportFormat:
        # Excel's own kind of file takes ten times as long, so that some of the people do.
        search = "" if file_format == ExportFormat.CSV else "garcia"
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
