"""An HTML page made fit for mail: CSS on its elements, preview text at its start, room for a footer at its end."""

import re
from html import escape
from typing import Final

import css_inline
from django.utils.translation import gettext
from selectolax.lexbor import LexborHTMLParser

from campaigns.markup.lifted import Lifted
from campaigns.markup.mjml import problem

ELEMENT_LIMIT: Final = 5_000  # the parser recurses: ten thousand levels would end the process
PARTS: Final = re.compile(
    r"<!--.*?(?:-->|\Z)"
    r"|<(style|script|title|textarea)\b.*?(?:</\1\s*>|\Z)"
    r"|<[/!?A-Za-z](?:[^>\"']++|\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z))*+(?:>|\Z)",
    re.DOTALL | re.IGNORECASE,
)
END: Final = "</body>\n</html>\n"
_PAGE: Final = re.compile(r"<(?:!doctype|html|head|body)\b", re.IGNORECASE)
_START: Final = re.compile(r"<[A-Za-z]")
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
    text = lifted.text
    if lifted.placeholder.match(text.lstrip()) and not _PAGE.search(text):
        text = f"<body>{text}"  # a condition at the start is about what follows, not about <html> and <body>
    try:
        return _INLINER.inline(_commented(text, lifted))
    except css_inline.InlineError as error:
        raise problem(f"The styles cannot be read: {error}.") from error


def whole(html: str, lifted: Lifted) -> str:
    """The page as a parser reads it: every element is closed, so that what is written is what is seen."""
    return LexborHTMLParser(_commented(html, lifted)).html or ""


def _commented(html: str, lifted: Lifted) -> str:
    parts, at = [], 0
    for part in PARTS.finditer(html):
        parts += [_as_comments(lifted, html[at : part.start()]), part[0]]
        at = part.end()
    parts.append(_as_comments(lifted, html[at:]))
    return "".join(parts)


def _as_comments(lifted: Lifted, text: str) -> str:
    return lifted.placeholder.sub(r"<!--\g<0>-->", text)


def with_preheader(html: str, preheader: str, lifted: Lifted) -> str:
    """The page with its merge tags. preheader: Liquid; the rest of it is text, and escaped."""
    at = next((tag.end() for tag in _tags(html, "<body")), 0) if preheader.strip() else 0
    if not at:
        return lifted.restore(html)
    own = Lifted(preheader)
    hidden = f'<div style="{_HIDDEN}" aria-hidden="true">{own.restore(escape(own.text))}{_FILL}</div>'
    return lifted.restore(html[:at]) + hidden + lifted.restore(html[at:])


def open_ended(html: str, lifted: Lifted) -> str:
    """The page without what closes it, since a footer may follow.

    Raises: TemplateProblem: what follows would be lost in an element that takes in all the rest, as <plaintext> does.
    """
    for name in ("</body", "</html"):
        for tag in _tags(html, name)[-1:]:
            html = html[: tag.start()] + html[tag.end() :]
    last = f"{lifted.mark}last"
    found = LexborHTMLParser(f"{html}<{last}></{last}>{END}").css_first(last)
    if found is None or found.parent is None or found.parent.tag != "body":
        raise problem("Something here takes in all that follows it, such as <plaintext> or <frameset>.")
    return html


def _tags(html: str, start: str) -> list[re.Match[str]]:
    return [part for part in PARTS.finditer(html) if part[0].lower().startswith(start)]


def footer(*, unsubscribe: bool, address: bool) -> str:
    """What the law asks for and the content lacks, in the active language. No style sheet of the content can hide it."""
    lines = []
    if address:
        lines.append("{{ workspace.postal_address | newline_to_br }}")
    if unsubscribe:
        links = (("unsubscribe_url", gettext("Unsubscribe")), ("preferences_url", gettext("Preferences")))
        lines.append(
            " · ".join(f'<a href="{{{{ {to} }}}}" style="{_LINK}">{words}</a>' for to, words in links)
        )
    return f'<div style="{_FOOTER}">{"<br>".join(lines)}</div>' if lines else ""


def _firm(style: str) -> str:
    return "".join(f"{declaration.strip()}!important;" for declaration in style.split(";"))


_SEEN: Final = (
    "visibility:visible;opacity:1;position:relative;z-index:2147483647;inset:auto;float:none;width:auto;height:auto;"
    "max-width:none;max-height:none;overflow:visible;clip:auto;clip-path:none;mask:none;filter:none;transform:none;"
    "zoom:1;animation:none;text-indent:0;letter-spacing:normal;content-visibility:visible;pointer-events:auto;"
    "-webkit-text-fill-color:currentcolor;mso-hide:none"
)
_FOOTER: Final = _firm(
    f"display:block;clear:both;margin:0;padding:24px 16px;background:#ffffff;color:#4b5563;"
    f"font:13px/1.6 Arial,Helvetica,sans-serif;text-align:center;{_SEEN}"
)
_LINK: Final = _firm(f"display:inline;color:#4b5563;font-size:13px;text-decoration:underline;{_SEEN}")
