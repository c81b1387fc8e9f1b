"""What the imports' tests share."""

from contacts.jobs import run_import
from contacts.models import Contact, Subscription


def carried_out(run):
    """The import after a worker had it."""
    run_import(import_id=run.pk)
    run.refresh_from_db()
    return run


COUNTS = ("row", "people", "created", "updated", "unchanged", "refused", "repeated", "held", "extra")


def counts(run):
    return {name: getattr(run, f"{name}_count") for name in COUNTS if getattr(run, f"{name}_count")}


def everything(workspace):
    """All that an import may touch, as plain values."""
    contacts = Contact.objects.of(workspace).order_by("pk").values()
    subscriptions = Subscription.objects.filter(workspace=workspace).order_by("pk").values()
    return list(contacts), list(subscriptions)
