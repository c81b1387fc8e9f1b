"""What somebody types who tries to get markup into a page, and what a browser would make of a page."""

from html.parser import HTMLParser

# Out of an attribute, a text area, a title, a script and a comment; and what a language of templates would work out.
MARKUP = "'\"></textarea></title></script>--><xss onx=1>{{7|add:7}}"


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found |= {tag, *(name for name, _ in attributes)}


def elements_of(page: str) -> set[str]:
    """The names of all elements and attributes in it."""
    parser = _Elements()
    parser.feed(page)
    return parser.found
