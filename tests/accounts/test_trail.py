"""The audit trail, in words that people use."""

import ast
from collections.abc import Iterator
from pathlib import Path

from django.urls import reverse

from accounts.models import Role, record
from accounts.trail import WORDS
from campaigns.models import State

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("accounts", "contacts", "delivery", "campaigns")
# What a verb that is put together ends in, by its beginning.
ENDS = {"campaign.": [*State.values, "resumed"], "member.made_": Role.values}


def recorded() -> Iterator[str]:
    """Every verb that the code hands to `record`."""
    for path in (path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            if is_call and node.func.id == "record":
                match node.args[1]:
                    case ast.Constant(value=verb):
                        yield verb
                    case ast.JoinedStr(values=[ast.Constant(value=start), _]):
                        yield from (start + end for end in ENDS[start])


def test_every_verb_that_is_recorded_has_its_words_and_no_other():
    assert set(recorded()) == set(WORDS)


def test_the_page_says_what_was_done_and_not_its_code(alice, workspace, sign_in):
    record(alice, "campaign.sender_changed", "Spring roast", workspace=workspace)
    record(alice, "older.verb", "Something", workspace=workspace)
    page = sign_in(alice).get(reverse("audit")).content.decode()
    assert "Changed a campaign’s subject or sender" in page
    assert "campaign.sender_changed" not in page
    assert "older.verb" in page, "one that an older version wrote is shown as it was written"
