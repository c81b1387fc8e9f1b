"""Where higher rooms hang what delivery has to call; filled in their `AppConfig.ready()`."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accounts.models import User
    from delivery.models import Mailing

# Called inside the transaction in which a mailing's state changed, with whose deed it was (None: Volley's own);
# safe to call twice.
on_mailing_change: "list[Callable[[Mailing, User | None], None]]" = []
# Called by the clock every two seconds, by one clock at a time.
on_tick: list[Callable[[], object]] = []
# Called once, in its transaction, when the database turns out to be a copy, with why in words: what waits must not begin.
on_copy: list[Callable[[str], object]] = []
