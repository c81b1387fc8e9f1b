"""The merge language: Liquid with limits, since marketers' templates are hostile until proven otherwise.

In HTML a merge tag prints text and never markup, so the elements of a page are those that were written as such.
"""

import functools
import html as entities
import re
from collections.abc import Iterable, Iterator, Mapping
from io import StringIO
from typing import Any, Final, TextIO

from liquid import BoundTemplate, Environment, Node, RenderContext, escape
from liquid.builtin.output import Output, OutputNode
from liquid.builtin.tags.capture_tag import CaptureNode, CaptureTag
from liquid.builtin.tags.cycle_tag import CycleNode, CycleTag
from liquid.builtin.tags.echo_tag import EchoNode, EchoTag
from liquid.exceptions import LiquidError
from liquid.filter import string_filter
from liquid.stringify import to_liquid_string
from liquid.token import TOKEN_OUTPUT, TOKEN_TAG

from accounts.errors import Refusal
from delivery.tracking.tag import LINKS, LinkNode, LinkTag

_TAG = re.compile(r"\{%-?\s*(\w+)")
_BLOCKS = {"if", "unless", "for", "case", "capture", "comment", "raw", "tablerow", "ifchanged"}
# Nothing is loaded from anywhere, and a template is no place for documentation that looks like content.
FORBIDDEN_TAGS = ("include", "render", "doc")
# What Volley itself fills in; a template may print these and call nothing else so.
RESERVED: Final = frozenset(
    {"contact", "workspace", "campaign", "unsubscribe_url", "preferences_url", "recipient_token", LINKS}
)
_LINE: Final = "\ufdd0"  # a line end that becomes <br />; Unicode keeps this one for a program's own use
_BREAK: Final = "<br />\n"
_MARKUP = re.compile(f"""[&<>"'{_LINE}]""")


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
    prints_markup = False

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        for tag in FORBIDDEN_TAGS:
            self.tags.pop(tag, None)
        self.add_tag(LinkTag)


def _as_text(value: object) -> str:
    """A value printed in HTML, be it in an element or in an attribute's quotation marks."""
    return str(escape(to_liquid_string(value, autoescape=False))).replace(_LINE, _BREAK)


def printed(value: str, *, html: bool) -> str:
    """What `{{ value }}` prints of a text."""
    return str(escape(value)).replace(_LINE, _BREAK) if html and _MARKUP.search(value) else value


class _Output(OutputNode):
    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        return buffer.write(_as_text(self.expression.evaluate(context)))


class _Echo(_Output, EchoNode):
    pass


class _Cycle(CycleNode):
    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        printed = StringIO()
        super().render_to_output(context, printed)
        return buffer.write(_as_text(printed.getvalue()))


class _Capture(CaptureNode):
    """What is captured is text again, and escaped where it is printed."""

    def _assign(self, context: RenderContext, buf: StringIO) -> None:
        context.assign(self.name, entities.unescape(buf.getvalue().replace(_BREAK, _LINE)))


class _OutputTag(Output):
    node_class = _Output


class _EchoTag(EchoTag):
    node_class = _Echo


class _CycleTag(CycleTag):
    node_class = _Cycle


class _CaptureTag(CaptureTag):
    node_class = _Capture


@string_filter
def _lines(value: str) -> str:
    return re.sub(r"\r?\n", _LINE, value)


@string_filter
def _unchanged(value: str) -> str:
    return value


class _Html(_Limited):
    """Liquid's own escaping trusts the literals of a template; this one trusts nothing that a merge tag prints."""

    prints_markup = True

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        for tag in (_OutputTag, _EchoTag, _CycleTag, _CaptureTag):
            self.add_tag(tag)
        self.filters["newline_to_br"] = _lines
        self.filters["escape"] = self.filters["safe"] = _unchanged  # all is escaped once
        self.filters["escape_once"] = string_filter(entities.unescape)


@functools.cache
def _environment(*, html: bool) -> Environment:
    """In HTML what contacts are called is escaped; subject and text take it as it is."""
    return _Html() if html else _Limited()


def parse(source: str, *, field: str, html: bool) -> BoundTemplate:
    """Parse one part of a message.

    Raises: TemplateProblem: with the line and Liquid's words.
    """
    try:
        template = _environment(html=html).from_string(source)
        _refuse_unknown_filters(template, source, field)
        _refuse_reserved_names(template, source, field)
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


def _refuse_reserved_names(template: BoundTemplate, source: str, field: str) -> None:
    scope = RenderContext(template)
    for node in _all_nodes(template.nodes, scope):
        for name in (*node.template_scope(), *node.block_scope()):
            if name in RESERVED:
                line = source.count("\n", 0, name.token.start_index) + 1
                words = f"Line {line}: “{name}” is Volley’s own; choose another name for what you keep."
                raise TemplateProblem(words, field=field, line=line)


def _all_nodes(nodes: Iterable[Node], scope: RenderContext) -> Iterator[Node]:
    for node in nodes:
        yield node
        yield from _all_nodes(node.children(scope, include_partials=False), scope)


def places(source: str) -> list[int]:
    """Where each merge tag begins, as Liquid itself reads it; comments and raw text hold none."""
    found = []
    for token in _environment(html=True).tokenizer()(source):
        if token.kind == TOKEN_OUTPUT:
            found.append(token.start_index)
        elif token.kind == TOKEN_TAG:  # it begins at its name
            found.append(source.rindex("{%", 0, token.start_index))
    return found


def check(source: str, *, field: str, html: bool) -> None:
    """Raise TemplateProblem where what somebody wrote does not parse, or is for Volley alone to write."""
    template = parse(source, field=field, html=html)
    for node in _all_nodes(template.nodes, RenderContext(template)):
        if isinstance(node, LinkNode):
            line = source.count("\n", 0, node.token.start_index) + 1
            words = f"Line {line}: “link” is Volley’s own; write the address as it is, with its merge tags."
            raise TemplateProblem(words, field=field, line=line)


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


# What everybody has; a contact's other fields are attributes of the workspace's own.
STANDARD_FIELDS: Final = frozenset({"email", "first_name", "last_name", "name"})
NO_DEFAULTS: Final[Mapping[str, Any]] = {}


def person(
    email: str,
    first_name: str,
    last_name: str,
    attributes: Mapping[str, Any],
    *,
    defaults: Mapping[str, Any] = NO_DEFAULTS,
) -> dict[str, Any]:
    """What stands behind `contact` in a template; the standard fields win over custom ones.

    defaults: what the content reads and the contact may lack.
    """
    return {
        **defaults,
        # Nothing is the same as absent: to filters None would be a value, and “None” a text.
        **{key: value for key, value in attributes.items() if value is not None},
        "email": email,
        "first_name": first_name,
        "last_name": last_name,
        "name": f"{first_name} {last_name}".strip(),
    }
