"""Asking an ESP for something it knows: over the same session as its calls, and its errors read by the same table."""

from typing import Any

import botocore.exceptions
import botocore.parsers
import requests
from anymail.exceptions import AnymailAPIError, AnymailRequestsAPIError

from delivery.models import SendingAccount
from delivery.providers import PROVIDERS
from delivery.secrets import unseal
from delivery.transports import esp
from delivery.transports.base import Fate
from delivery.transports.esp_answers import outcome_of_error

PASSING = (Fate.DEFERRED, Fate.IN_DOUBT)
BOTO_TROUBLE = (
    botocore.exceptions.BotoCoreError,
    botocore.exceptions.ClientError,
    botocore.parsers.ResponseParserError,
)


class NotAnswered(Exception):  # noqa: N818
    """No answer that could be used; passes: one may come later, after seconds where the ESP names them."""

    def __init__(self, words: str, *, passes: bool, seconds: float | None = None) -> None:
        super().__init__(words)
        self.words, self.passes, self.seconds = words, passes, seconds


class Asking:
    """One account's session, for one thread. Its methods raise NotAnswered.

    given: the account's settings and secrets.
    """

    def __init__(self, account: SendingAccount, *, seconds: float | None = None) -> None:
        """seconds: to wait at most, to connect and for an answer. Raises: SecretsLost, CannotConnect."""
        secrets = unseal(account.secrets)
        self.provider = PROVIDERS[account.provider]
        self.given = {**account.settings, **secrets}
        self._backend = esp.open_backend(self.provider, account.settings, secrets, seconds=seconds)

    def close(self) -> None:
        self._backend.close()

    def get(self, path: str, query: dict[str, Any], **authorization: Any) -> Any:
        """The JSON at a path below the API's address. authorization: headers or auth, as requests takes them."""
        backend = self._backend
        try:
            answer = backend.session.get(
                backend.api_url + path, params=query, timeout=backend.timeout, **authorization
            )
        except requests.RequestException as error:
            raise self._not_answered(AnymailAPIError(str(error), backend=backend), error) from error
        if answer.status_code != 200:
            raise self._not_answered(AnymailRequestsAPIError(response=answer, backend=backend))
        try:
            return answer.json()
        except (ValueError, RecursionError) as error:
            raise NotAnswered(f"{self.provider.label}: the answer is no JSON.", passes=False) from error

    def boto(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """What an operation of Amazon's API answers."""
        try:
            answer: dict[str, Any] = getattr(self._backend.client, operation)(**parameters)
        except BOTO_TROUBLE as error:
            response = getattr(error, "response", None)
            failure = AnymailAPIError(str(error), backend=self._backend, response=response)
            raise self._not_answered(failure, error) from error
        return answer

    def _not_answered(self, failure: AnymailAPIError, cause: Exception | None = None) -> NotAnswered:
        failure.__cause__ = cause
        outcome = outcome_of_error(self.provider.name, failure)
        words = f"{self.provider.label}: {outcome.server_said or outcome.code}"
        return NotAnswered(words, passes=outcome.fate in PASSING, seconds=outcome.retry_after)
