"""Whatever an ESP, or what stands in its place, answers: each letter has a fate."""

import gzip
import json

import pytest

from delivery.transports import connect, esp, esp_bulk
from delivery.transports.base import Fate
from tests.delivery.servers import an_esp
from tests.delivery.test_esp import ESPS, SENT, a_message, an_esp_account
from tests.delivery.test_esp_batches import letters_of, send

DEEP = 100_000
HOSTILE = {
    "deep lists": "[" * DEEP + "]" * DEEP,
    "deep objects": '{"a":' * DEEP + "1" + "}" * DEEP,
    "deep messages": '{"message":' * 900 + "1" + "}" * 900,
    "cut off": '{"id": "',
    "html": "<html><body>Sign in</body></html>",
    "a number": "7",
    "null": "null",
    "a text": '"ok"',
    "huge number": '{"id": ' + "9" * 5_000 + "}",
    "infinity": '{"id": Infinity, "messageIds": [1e999]}',
    "long": '{"id": "' + "a" * 1_000_000 + '", "message": "' + "b" * 1_000_000 + '"}',
    "half a pair": '{"id": "\\ud800", "message": "\\ud800\\u0000"}',
    "wrong kinds": json.dumps({name: {"a": [None]} for name in (
        "id", "messageId", "messageIds", "Messages", "message_ids", "data", "emails", "failed_emails", "results",
        "status", "errors", "message", "ErrorCode", "responses", "MessageId", "BulkEmailEntryResults", "bulk_email_id")}),
    "wrong lists": json.dumps([None, 1, "a", [], {}]),
}  # fmt: skip


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(esp, "REPEAT_AFTER_SECONDS", 0)
    monkeypatch.setattr(esp_bulk, "LOOK_AFTER_SECONDS", 0)


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_an_answer_of_any_length_is_not_read_to_its_end(workspace, monkeypatch, encoding):
    monkeypatch.setattr(esp, "ANSWER_BYTES", 100_000)
    body = " " * 1_000_000 + json.dumps(SENT)
    with an_esp() as server:
        server.answer(
            200, body if encoding == "identity" else gzip.compress(body.encode()), Content_Encoding=encoding
        )
        outcome = connect(an_esp_account(workspace, server)).send(a_message())
        assert (outcome.fate, "too long" in outcome.server_said) == (Fate.IN_DOUBT, True)
        server.answers.clear()
        server.answer(200, SENT)
        assert connect(an_esp_account(workspace, server)).send(a_message()).fate is Fate.ACCEPTED


@pytest.mark.parametrize("provider", ESPS, ids=lambda provider: provider.name)
def test_any_answer_is_a_fate_for_each(workspace, provider):
    with an_esp() as server:
        account = an_esp_account(workspace, server, provider.name)
        for what, answer in HOSTILE.items():
            for status in (200, 400, 500):
                server.answers.clear()
                server.answer(status, answer)
                outcomes = [
                    connect(account).send(a_message()),
                    *send(connect(account), *letters_of()).values(),
                ]
                assert len(outcomes) == 6, what
                longest = max(max(len(each.provider_id), len(each.server_said)) for each in outcomes)
                assert longest <= 500, what
