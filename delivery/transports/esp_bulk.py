"""MailerSend takes a bulk call whatever is in it and says later, under the job's address, which messages it will not send.

Unasked, it never says so: no event comes of a message that it did not send.
"""

import json
import re
import time
from collections.abc import Sequence
from typing import Any, Final

import requests

from delivery.transports.base import Fate, Outcome
from delivery.transports.esp_answers import what_stops, words_of
from delivery.transports.esp_verdicts import verdict_of

LOOKS: Final = 4  # its bulk calls are ten a minute, so a lane has the time
LOOK_AFTER_SECONDS: Final = 1.0
_PLACE: Final = re.compile(r"message\.(\d{1,4})\b")


def looked_up(backend: Any, response: Any, taken: list[Outcome]) -> list[Outcome]:
    """The outcomes of a bulk call that was taken, without the messages that the finished job says are refused.

    They stay as they are where it is not finished in time, or cannot be read.
    """
    refused = _refused(_job(backend, response))
    return [refused.get(place, outcome) for place, outcome in enumerate(taken)]


def _job(backend: Any, response: Any) -> Any:
    url = f"{backend.api_url}bulk-email/{response.json()['bulk_email_id']}"
    headers = {"Authorization": response.request.headers["Authorization"], "Accept": "application/json"}
    for look in range(LOOKS):
        if look:
            time.sleep(LOOK_AFTER_SECONDS)
        try:
            answer = backend.session.get(url, headers=headers, timeout=backend.timeout)
            job = answer.json()["data"]
            if job["state"] in ("completed", "failed"):
                return job
        except (requests.RequestException, LookupError, TypeError, ValueError):
            return None
    return None


def _refused(job: Any) -> dict[int, Outcome]:
    """By the place of the message in the call: {"message.0": {"to.0.email": ["must be valid"]}}."""
    errors = job.get("validation_errors") if isinstance(job, dict) else None
    refused = {}
    for name, said in errors.items() if isinstance(errors, dict) else ():
        found = _PLACE.match(name)
        if found:
            stops = what_stops("mailersend", said)
            verdict = None if stops else verdict_of("mailersend", json.dumps(said))
            refused[int(found[1])] = Outcome(stops or Fate.REJECTED, "422", _words(said), verdict=verdict)
    return refused


def _words(said: Any) -> str:
    """The sentences of all fields in a row."""
    lists = said.values() if isinstance(said, dict) else [said]
    return words_of({"message": " ".join(str(each) for words in lists for each in _listed(words))})


def _listed(words: Any) -> Sequence[Any]:
    return words if isinstance(words, list) else [words]
