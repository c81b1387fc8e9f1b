"""Where higher rooms hang what accounts has to call; filled in their `AppConfig.ready()`."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accounts.models import Workspace

# Called inside the transaction in which a workspace was made.
on_workspace_created: "list[Callable[[Workspace], None]]" = []
