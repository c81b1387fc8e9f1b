"""`make bench-plan`: freeze an audience of a million into the ledger and print one JSON line."""

import argparse
import json
import os
import time

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
import django

django.setup()

from django.db import transaction  # noqa: E402

from bench.world import a_newsletter, of_its_own, workspace_with_contacts  # noqa: E402
from contacts.models import Contact  # noqa: E402
from delivery.actions import cancel, launch  # noqa: E402
from delivery.models import SendingAccount  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipients", type=int, default=1_000_000)
    recipients = parser.parse_args().recipients
    with of_its_own():
        workspace = workspace_with_contacts(recipients)
        account = SendingAccount.objects.create(
            workspace=workspace, name="None", provider="inbox", is_default=True
        )
        with transaction.atomic():
            began = time.monotonic()
            mailing = launch(
                workspace=workspace,
                name="Bench",
                account=account,
                content=a_newsletter(20),
                recipients=Contact.objects.filter(workspace=workspace).sendable(),
                list_ids=[],
            )
        seconds = time.monotonic() - began
        cancel(mailing)
    print(json.dumps({"recipients": mailing.total_count, "seconds": round(seconds, 2)}))


if __name__ == "__main__":
    main()
