"""`make bench-fairness`: launch few behind many that are in the air, and print one JSON line.

Behind a campaign of --many come one of --few, the same from another workspace, and a test send: seconds from launch
to end each. With --late the server is slow, so that each turn takes its whole slice.
"""

import argparse
import json
import os
import time

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
import django

django.setup()

from django.db import transaction  # noqa: E402

from bench import processes  # noqa: E402
from bench.world import (  # noqa: E402
    a_newsletter,
    an_account,
    launch,
    of_its_own,
    wait_for_end,
    wait_until,
    workspace_with_contacts,
)
from delivery.actions import cancel, send_test  # noqa: E402
from delivery.models import Mailing  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--many", type=int, default=200_000)
    parser.add_argument("--few", type=int, default=50)
    parser.add_argument("--campaigns", type=int, default=1, help="of --many, in the air at once")
    parser.add_argument("--times", type=int, default=5, help="how often few are launched; the slowest counts")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--lanes", type=int, default=4)
    parser.add_argument("--kb", type=int, default=20)
    parser.add_argument("--late", type=int, default=0, help="milliseconds in which the server answers")
    options = parser.parse_args()
    with of_its_own(), processes.workers(options.workers) as workers:
        sink = processes.OwnSink(late_ms=options.late) if options.late else processes.a_sink()
        account = an_account(workspace_with_contacts(options.many), sink.address, options.lanes)
        elsewhere = an_account(workspace_with_contacts(options.few), sink.address, options.lanes)
        try:
            result = measure(options, workers, account, elsewhere)
        finally:
            sink.stop()
    print(json.dumps(vars(options) | result), flush=True)


def measure(options, workers, account, elsewhere) -> dict[str, float]:
    in_the_air = [launch(account, kb=options.kb) for _ in range(options.campaigns)]
    for bulk in in_the_air:
        wait_until(bulk, workers, lambda bulk=bulk: bulk.accepted_count > 0)
    deeds = {
        "seconds": lambda: launch(account, kb=options.kb, at_most=options.few),
        "other_workspace_seconds": lambda: launch(elsewhere, kb=options.kb),
        "test_send_seconds": lambda: a_test(account, options.kb),
    }
    took = {name: [] for name in deeds}
    for _ in range(options.times):
        for name, deed in deeds.items():
            took[name].append(seconds_to_the_end(deed, workers))
    were_sent = [still_sent(bulk) for bulk in in_the_air]
    return {
        **{name: max(seconds) for name, seconds in took.items()},
        "all": took,
        "many_were_still_sent": all(were_sent),
    }


def seconds_to_the_end(deed, workers) -> float:
    began = time.monotonic()
    mailing: Mailing = deed()
    wait_for_end(mailing, workers, seconds=120)
    return round(time.monotonic() - began, 2)


def still_sent(bulk: Mailing) -> bool:
    """Whether it was in the air until now; then it is canceled."""
    bulk.refresh_from_db()
    if bulk.state == "sending":
        cancel(bulk)
        return True
    return False


def a_test(account, kb) -> Mailing:
    with transaction.atomic():
        return send_test(
            workspace=account.workspace,
            name="Bench: a test",
            account=account,
            content=a_newsletter(kb),
            to=["bench@volley.example"],
            sample=account.workspace.contacts.first(),
        )


if __name__ == "__main__":
    main()
