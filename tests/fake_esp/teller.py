"""Sends a provider's webhooks about the messages that the fake took: late, early, twice, in any order."""

import random
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from tests.fake_esp import webhooks
from tests.fake_esp.happenings import Event, Key, Post, What, event
from tests.fake_esp.messages import Message

POST_SECONDS = 10.0


class Teller:
    """to: an address, or a function that takes a `Post`. tells: what happens to each message, where none is named.

    when: asked (by `FakeEsp.tell`), before the API's answer, or right after it. With twice each event comes two times,
    with shuffles in any order. posts: those sent; statuses: what the address answered.
    """

    def __init__(
        self,
        dialect: str,
        to: str | Callable[[Post], object],
        key: Key,
        *,
        tells: Iterable[str] = (What.DELIVERED,),
        when: Literal["asked", "before", "after"] = "asked",
        twice: bool = False,
        shuffles: bool = False,
        url: str = "http://testserver/",
        seed: int = 1,
    ) -> None:
        self.dialect, self.key, self.when = dialect, key, when
        self.twice, self.shuffles = twice, shuffles
        self.tells = [What(each) for each in tells]
        self.url = to if isinstance(to, str) else url  # which Mandrill signs
        self.posts: list[Post] = []
        self.statuses: list[int] = []
        self._send = self._over_http if isinstance(to, str) else to
        self._random = random.Random(seed)

    def tell(self, whats: Sequence[str], messages: Sequence[Message], **more) -> int:
        """Post the events, and give how many posts it took. more: for each `event`, such as url and at."""
        events = [event(what, message, **more) for message in messages for what in (whats or self.tells)]
        return self.tell_events(events)

    def tell_events(self, events: Sequence[Event]) -> int:
        events = [each for each in events for _ in range(2 if self.twice else 1)]
        if self.shuffles:
            self._random.shuffle(events)
        made = webhooks.posts(self.dialect, events, self.key, self.url)
        for post in made:
            self.posts.append(post)
            self._send(post)
        return len(made)

    def _over_http(self, post: Post) -> None:
        request = urllib.request.Request(self.url, post.body, post.headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=POST_SECONDS) as answer:
                self.statuses.append(answer.status)
        except urllib.error.HTTPError as error:
            self.statuses.append(error.code)
