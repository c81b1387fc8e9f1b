import pytest
from django.core.files.base import ContentFile

from contacts.actions import imports as actions
from contacts.importing import reader
from contacts.importing.columns import guess_columns
from contacts.models import CustomField, ImportState, List
from tests.contacts.imports import carried_out


@pytest.fixture
def news(workspace):
    return List.objects.create(workspace=workspace, name="News")


@pytest.fixture
def an_import(workspace, bob):
    """an_import(content, lists=[news], mode="add", reading={"encoding": ...}) gives one that is checked and queued.

    Columns are as guessed unless `columns` says otherwise; with started=False it waits after the check.
    """

    def make(content, *, started=True, reading=None, **plan):
        content = content.encode() if isinstance(content, str) else content
        run = actions.upload(ContentFile(content, name="people.csv"), workspace=workspace, by=bob)
        guessed = actions._reading(reader.guess(ContentFile(content)))
        how = reader.Reading(**{**guessed, **(reading or {})})
        columns = plan.pop("columns", None) or guessed_columns(run, how)
        note = "web form" if plan.get("lists") and plan.get("status") != "pending" else ""
        actions.check(run, actions.Plan(how, columns, **{"consent_note": note, **plan}), by=bob)
        carried_out(run)
        if started:
            assert run.state == ImportState.CHECKED, run.error
            actions.start(run, by=bob)
        return run

    return make


def guessed_columns(run, how):
    with reader.opened(run.file) as raw:
        sample = reader.header_and_sample(raw, how)
    guesses = guess_columns(*sample, CustomField.objects.of(run.workspace), how.notation)
    return [
        actions.NewField(each.label, each.guess[4:]) if each.guess.startswith("new:") else each.guess
        for each in guesses
    ]
