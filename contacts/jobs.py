"""The RQ entry points of contacts."""

from contacts.importing.run import work


def run_import(*, import_id: int) -> dict[str, int | str]:
    return work(import_id)
