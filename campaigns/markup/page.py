"""An HTML page made fit for mail: CSS on its elements, preview text at its start, a footer at its end."""

import re
from html import escape
from typing import Final

import css_inline

from campaigns.markup.lifted import Lifted
from campaigns.markup.mjml import problem

ELEMENT_LIMIT: Final = 5_000  # the parser recurses: ten thousand levels would end the process
_PARTS: Final = re.compile(
    r"<!--.*?(?:-->|\Z)"
    r"|<(style|script|title|textarea)\b.*?(?:</\1\s*>|\Z)"
    r"|<[/!?A-Za-z](?:[^>\"']++|\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z))*+(?:>|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_START: Final = re.compile(r"<[A-Za-z]")
_BODY: Final = re.compile(r"<body\b(?:[^>\"']++|\"[^\"]*+\"|'[^']*+')*+>", re.IGNORECASE)
_HIDDEN: Final = (
    "display:none;max-height:0;max-width:0;overflow:hidden;opacity:0;font-size:1px;line-height:1px"
)
_FILL: Final = "&#847;&zwnj;&nbsp;" * 60  # keeps the message's first words out of the preview
_INLINER: Final = css_inline.CSSInliner(
    keep_style_tags=True,
    remove_inlined_selectors=True,  # what stays: media queries, :hover, what follows a merge tag
    keep_at_rules=True,
    keep_link_tags=True,
    load_remote_stylesheets=False,  # nothing is fetched on a marketer's behalf, and no file is read
)


def inlined(lifted: Lifted) -> str:
    """HTML with its styles on the elements. Merge tags between elements travel as comments: a parser moves
    text out of tables, and leaves comments where they are.

    Raises: TemplateProblem: too many elements.
    """
    if sum(1 for _tag in _START.finditer(lifted.text)) > ELEMENT_LIMIT:
        raise problem(f"This has more than {ELEMENT_LIMIT:,} elements; mail programs would not show it.")
    parts, at = [], 0
    for part in _PARTS.finditer(lifted.text):
        parts += [_as_comments(lifted, lifted.text[at : part.start()]), part[0]]
        at = part.end()
    parts.append(_as_comments(lifted, lifted.text[at:]))
    try:
        return _INLINER.inline("".join(parts))
    except css_inline.InlineError as error:
        raise problem(f"The styles cannot be read: {error}.") from error


def _as_comments(lifted: Lifted, text: str) -> str:
    return lifted.placeholder.sub(r"<!--\g<0>-->", text)


def with_preheader(html: str, preheader: str) -> str:
    """preheader: Liquid; the rest of it is text, and escaped."""
    if not preheader.strip():
        return html
    lifted = Lifted(preheader)
    hidden = f'<div style="{_HIDDEN}" aria-hidden="true">{lifted.restore(escape(lifted.text))}{_FILL}</div>'
    body = _BODY.search(html)
    at = body.end() if body else 0
    return html[:at] + hidden + html[at:]


def with_footer(html: str, *, unsubscribe: bool, address: bool) -> str:
    """Add what the law asks for and the content lacks."""
    lines = []
    if address:
        lines.append("{{ workspace.postal_address | newline_to_br }}")
    if unsubscribe:
        lines.append(
            '<a href="{{ unsubscribe_url }}" style="color:#4b5563;text-decoration:underline">Unsubscribe</a>'
        )
    if not lines:
        return html
    style = "padding:24px 16px;background:#ffffff;color:#4b5563;font:13px/1.6 Arial,Helvetica,sans-serif;text-align:center"
    footer = f'<div style="{style}">{"<br>".join(lines)}</div>'
    start, end, rest = html.rpartition("</body>")
    return f"{start}{footer}{end}{rest}" if end else html + footer
