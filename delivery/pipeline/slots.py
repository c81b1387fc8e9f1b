"""A slot: the place in a message where the recipient matters, rendered by Liquid and encoded for its place.

Most slots print a few values of the contact and nothing else, and many contacts share them (a first name, a city):
such a slot is rendered once for each set of values and remembered.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from io import StringIO
from typing import Any, Final

from liquid import Node, RenderContext
from liquid.builtin.expressions import FilteredExpression, Path
from liquid.builtin.output import OutputNode
from liquid.expression import Expression
from liquid.output import LimitedStringIO

from delivery.liquid import RESERVED, printed

Encode = Callable[[str], bytes]
REMEMBERED: Final = 2_000  # renderings of one slot
PLAIN_LENGTH: Final = 1_000  # characters; longer texts go through Liquid's limits
WORTH_IT: Final = 0.2  # share of look-ups that must be found for remembering to go on
# What depends on the time of day besides its input.
TIMELY_FILTERS: Final = frozenset({"date", "time_ago"})
# What Liquid answers for any object, from more than the value of that name.
LIQUIDS_OWN: Final = frozenset({"first", "last", "size"})


class Slot:
    """Some nodes next to each other. Shared by lanes: a rendering lost to a race is made again."""

    def __init__(self, nodes: list[Node], encode: Encode, *, html: bool) -> None:
        self.nodes, self._encode, self._html = nodes, encode, html
        self.reads = _reads(nodes)
        self._plain = self.reads[0] if self.reads and _is_plain(nodes) else None
        self._known: dict[Any, bytes] | None = {} if self.reads else None
        self._hits = self._misses = 0
        # Equal for slots that print the same of the same recipient; None where that is not certain.
        self.same_as = (html, "".join(map(str, nodes))) if self.reads else None

    def fill(self, context: Mapping[str, Any], scope: Callable[[], RenderContext], room: int) -> bytes:
        """The slot for one recipient. scope: made only where Liquid is asked. room: characters it may still have.

        Raises: what Liquid raises.
        """
        if self._plain is not None:
            value = _value(self._plain, context)
            if type(value) is str and len(value) < PLAIN_LENGTH:
                return _plainly(value, self._html, self._encode)
        known = self._known
        if known is None:
            return self._encode(render(self.nodes, scope(), room))
        key = _key(self.reads, context)
        found = known.get(key)
        if found is not None:
            self._hits += 1
            return found
        found = self._encode(render(self.nodes, scope(), room))
        if key is not None:
            self._remember(known, key, found)
        return found

    def _remember(self, known: dict[Any, bytes], key: Any, found: bytes) -> None:
        self._misses += 1
        if len(known) < REMEMBERED:
            known[key] = found
        elif self._hits < WORTH_IT * (self._hits + self._misses):
            self._known = None  # nearly everybody has a value of their own
        else:
            known.clear()


@lru_cache(maxsize=1_000)
def _plainly(value: str, html: bool, encode: Encode) -> bytes:  # noqa: FBT001  (the cache tells names apart)
    """A message names its recipient in each link, and many recipients share a name."""
    return encode(printed(value, html=html))


def render(nodes: Iterable[Node], scope: RenderContext, room: int) -> str:
    """Raises: OutputStreamLimitError: it is longer than the room left."""
    buffer = LimitedStringIO(room) if room else StringIO()
    for node in nodes:
        node.render(scope, buffer)
    return buffer.getvalue()


def _key(reads: tuple[tuple[str, ...], ...], context: Mapping[str, Any]) -> Any:
    """The values that the slot prints, or None where they cannot be told apart by comparing."""
    values: list[Any] = []
    for path in reads:
        value = _value(path, context)
        if type(value) is not str and value is not None:
            if type(value) not in (int, float, bool):
                return None
            value = (type(value), value)  # 1, 1.0 and true are equal, and printed otherwise
        values.append(value)
    return tuple(values)


def _value(path: tuple[str, ...], context: Mapping[str, Any]) -> Any:
    value: Any = context.get(path[0])
    if len(path) == 2:  # _reads takes no longer ones
        return value.get(path[1]) if isinstance(value, dict) else None
    return value


def _is_plain(nodes: list[Node]) -> bool:
    """`{{ contact.last_name }}` alone: a text needs no Liquid to be printed."""
    expression = getattr(nodes[0], "expression", None)
    return (
        len(nodes) == 1
        and isinstance(expression, FilteredExpression)
        and isinstance(expression.left, Path)
        and not expression.filters
    )


def _reads(nodes: list[Node]) -> tuple[tuple[str, ...], ...]:
    """The paths whose values alone decide what the nodes print; none where more than that does."""
    found: list[tuple[str, ...]] = []
    for node in nodes:
        if not isinstance(node, OutputNode) or not isinstance(node.expression, FilteredExpression):
            return ()
        for expression in _inside(node.expression):
            if isinstance(expression, FilteredExpression) and any(
                each.name in TIMELY_FILTERS for each in expression.filters or ()
            ):
                return ()
            if isinstance(expression, Path):
                path = tuple(expression.path)
                if (
                    len(path) > 2
                    or not all(isinstance(name, str) for name in path)
                    or path[0] not in RESERVED
                ):
                    return ()
                if path[-1] in LIQUIDS_OWN:
                    return ()
                found.append(path)  # type: ignore[arg-type]
    return tuple(dict.fromkeys(found))


def _inside(expression: Expression) -> Iterator[Expression]:
    yield expression
    for child in expression.children():
        yield from _inside(child)
