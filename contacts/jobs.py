"""The RQ entry points of contacts."""

from contacts.actions import segments, tags
from contacts.bulk import run as bulk
from contacts.exporting import run as exporting
from contacts.importing import run as importing


def run_import(*, import_id: int) -> dict[str, int | str]:
    return importing.work(import_id)


def run_export(*, export_id: int) -> dict[str, int | str]:
    return exporting.work(export_id)


def run_bulk(*, bulk_id: int) -> dict[str, int | str]:
    return bulk.work(bulk_id)


def clean_tag(*, cleanup_id: int) -> dict[str, int]:
    return {"cleanup": cleanup_id, "contacts": tags.clean(cleanup_id)}


def take_snapshot(*, segment_id: int) -> dict[str, int]:
    return {"people": segments.take(segment_id)}


def count_segment(*, segment_id: int) -> dict[str, int | None]:
    return {"segment": segment_id, "people": segments.count_kept(segment_id)}
