"""`{% link 3 %}https://shop.example/?of={{ contact.email }}{% endlink %}`: a link that is another one for each recipient.

Volley writes it around such an address when a campaign is compiled; nobody else may. 3 is its place among
`Content.links`, from 1.
"""

import html as entities
from collections.abc import Iterable
from html import escape
from io import StringIO
from typing import Any, Final, TextIO

from liquid import BlockNode, Node, RenderContext, Tag, Token, TokenStream
from liquid.parser import get_parser
from liquid.token import TOKEN_INTEGER, TOKEN_TAG

LINKS: Final = "links"  # behind this name stands a delivery.tracking.writing.Links, or nothing


class LinkNode(Node):
    def __init__(self, token: Token, label: int, block: BlockNode, *, html: bool) -> None:
        super().__init__(token)
        self.label, self.block, self._html = label, block, html

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        inside = StringIO()
        self.block.render(context, inside)
        url = inside.getvalue()
        links: Any = context.resolve(LINKS, default=None)
        if not hasattr(links, "led"):
            return buffer.write(url)
        led = links.led(entities.unescape(url) if self._html else url, self.label)
        return buffer.write(escape(led) if self._html else led)

    def children(self, static_context: RenderContext, *, include_partials: bool = True) -> Iterable[Node]:
        yield self.block


class LinkTag(Tag):
    name = "link"
    end = "endlink"
    node_class = LinkNode

    def parse(self, stream: TokenStream) -> Node:
        token = stream.eat(TOKEN_TAG)
        tokens = stream.into_inner(tag=token)
        label = int(tokens.eat(TOKEN_INTEGER).value)
        tokens.expect_eos()
        block = get_parser(self.env).parse_block(stream, frozenset({self.end}))
        stream.expect(TOKEN_TAG, value=self.end)
        return self.node_class(token, label, block, html=getattr(self.env, "prints_markup", False))
