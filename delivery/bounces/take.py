"""Write down what came back by mail: facts, and people who leave; from mailboxes, and from our own server's stream."""

import datetime
import json
from collections.abc import Sequence
from typing import Final

from delivery import links, unsubscribe
from delivery.bounces.returned import Came, Returned, returned
from delivery.feedback.apply import applied_all
from delivery.feedback.facts import Fact
from delivery.feedback.stream import Entry

STREAM: Final = "mail"


def take(messages: Sequence[Came]) -> list[Returned]:
    """All that they say is committed when it returns; taking them again changes nothing."""
    results = returned(messages)
    applied_all(fact for result in results for fact in result.facts)
    _let_go(results)
    return results


def read_stream(entries: Sequence[Entry]) -> list[list[Fact]]:
    """The stream's reader: the facts of each entry. Who wants to leave has left when it returns."""
    results = returned([unpacked(entry.data) for entry in entries])
    _let_go(results)
    return [result.facts for result in results]


def _let_go(results: Sequence[Returned]) -> None:
    for result in results:
        if result.leaver and (link := unsubscribe.find(links.unsubscribe_token(*result.leaver))):
            unsubscribe.leave(link, ip=None)


def packed(came: Came) -> bytes:
    """As one entry of the stream: a line of JSON about the envelope, then the message."""
    return json.dumps({"at": came.at.isoformat(), "to": came.to}).encode() + b"\n" + came.source


def unpacked(data: bytes) -> Came:
    head, _, source = data.partition(b"\n")
    envelope = json.loads(head)
    at = datetime.datetime.fromisoformat(envelope["at"])
    return Came(source, None, at, tuple(envelope["to"]))
