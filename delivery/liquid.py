"""The merge language: Liquid with limits, since marketers' templates are hostile until proven otherwise."""

import functools
import re
from collections.abc import Mapping
from typing import Any

from liquid import BoundTemplate, Environment
from liquid.exceptions import LiquidError

from accounts.errors import Refusal

_TAG = re.compile(r"\{%-?\s*(\w+)")
_BLOCKS = {"if", "unless", "for", "case", "capture", "comment", "raw", "tablerow", "ifchanged"}
FORBIDDEN_TAGS = ("include", "render")  # nothing is loaded from anywhere


class TemplateProblem(Refusal):
    """A template that cannot be read or filled in; field and line say where."""

    code = "template_error"

    def __init__(self, message: str, *, field: str, line: int | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.line = line


class _Limited(Environment):
    loop_iteration_limit = 5_000  # over all loops of one message
    output_stream_limit = 2_000_000  # bytes of one message's part
    local_namespace_limit = 200_000  # bytes held by assign and capture
    context_depth_limit = 12
    block_nesting_limit = 24

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        for tag in FORBIDDEN_TAGS:
            self.tags.pop(tag, None)


@functools.cache
def _environment(*, html: bool) -> Environment:
    """In HTML what contacts are called is escaped; subject and text take it as it is."""
    return _Limited(autoescape=html)


def parse(source: str, *, field: str, html: bool) -> BoundTemplate:
    """Parse one part of a message.

    Raises: TemplateProblem: with the line and Liquid's words.
    """
    try:
        template = _environment(html=html).from_string(source)
        _refuse_unknown_filters(template, source, field)
        return template
    except LiquidError as error:
        raise problem(error, source, field=field) from error
    except RecursionError as error:
        raise TemplateProblem("The merge tags are nested too deeply.", field=field) from error


def _refuse_unknown_filters(template: BoundTemplate, source: str, field: str) -> None:
    """Liquid itself would only notice when the filter is reached."""
    for name, spans in template.analyze(include_partials=False).filters.items():
        if name not in template.env.filters:
            line = source.count("\n", 0, spans[0].index) + 1
            raise TemplateProblem(f"Line {line}: there is no filter “{name}”.", field=field, line=line)


def check(source: str, *, field: str, html: bool) -> None:
    """Raise TemplateProblem where the source does not parse."""
    parse(source, field=field, html=html)


def problem(error: LiquidError, source: str, *, field: str) -> TemplateProblem:
    """Liquid's error in our words, with the line it is about."""
    token = error.token
    index = token.start_index if token is not None else -1
    if index < 0:
        index = _unclosed(source)
    line = source.count("\n", 0, index) + 1 if index >= 0 else None
    words = str(error.args[0] if error.args else error).strip()
    where = f"Line {line}: " if line else ""
    return TemplateProblem(f"{where}{words[:1].upper()}{words[1:]}.", field=field, line=line)


def _unclosed(source: str) -> int:
    """Where the last block begins that no tag ends, or -1: Liquid reports it at the end of the source."""
    open_blocks: list[tuple[str, int]] = []
    for tag in _TAG.finditer(source):
        word = tag[1]
        if word in _BLOCKS:
            open_blocks.append((word, tag.start()))
        elif open_blocks and word == f"end{open_blocks[-1][0]}":
            open_blocks.pop()
    return open_blocks[-1][1] if open_blocks else -1


def person(email: str, first_name: str, last_name: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What stands behind `contact` in a template; the standard fields win over custom ones."""
    return {
        **attributes,
        "email": email,
        "first_name": first_name,
        "last_name": last_name,
        "name": f"{first_name} {last_name}".strip(),
    }
