"""What higher rooms tell this one, filled in their `AppConfig.ready()`."""

from collections.abc import Callable

from contacts.models import Segment

# Each gives the names of what still needs the segment, such as a scheduled campaign; it is then not deleted.
segment_uses: list[Callable[[Segment], list[str]]] = []
