"""What somebody types who tries to get markup into a page, and what a browser would make of a page."""

from html.parser import HTMLParser

# Out of an attribute, a text area, a title, a script and a comment; and what a language of templates would work out.
MARKUP = "'\"></textarea></title></script>--><xss onx=1>{{7|add:7}}"


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: set[str] = set()
        self.ids: list[str | None] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found |= {tag, *(name for name, _ in attributes)}
        self.ids += [value for name, value in attributes if name == "id"]


def elements_of(page: str) -> set[str]:
    """The names of all elements and attributes in it."""
    parser = _Elements()
    parser.feed(page)
    return parser.found


def twice(page: str) -> set[str | None]:
    """The ids that stand more than once in it."""
    parser = _Elements()
    parser.feed(page)
    return {each for each in parser.ids if parser.ids.count(each) > 1}
