"""The catalogs of what recipients read: `python -m config.catalogs` takes new texts in and compiles what is translated.

For developers: Babel is among their tools alone. Texts are found by `gettext` in Python and `{% translate %}` in templates.
"""

import datetime
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from babel.messages import Catalog, extract, mofile, pofile
from django.utils.translation.template import templatize

ROOT: Final = Path(__file__).resolve().parent.parent
ROOMS: Final = ("campaigns", "contacts", "delivery")
KEYWORDS: Final[Any] = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext": (1, 2),
    "npgettext": ((1, "c"), 2, 3),
    "pgettext": ((1, "c"), 2),
}
CODES: Final = ("de", "fr", "es", "pt")  # settings.LANGUAGES without the one that is written in
WIDTH: Final = 120
DATE: Final = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)  # no file changes where no text does


def path_of(code: str) -> Path:
    return ROOT / "locale" / code / "LC_MESSAGES" / "django.po"


def read(code: str) -> Catalog:
    """The catalog as it is kept; empty, where there is none."""
    if not path_of(code).exists():
        return Catalog(locale=code)
    with path_of(code).open("rb") as source:
        return pofile.read_po(source, locale=code)


def found() -> Catalog:
    """Every text of the code and the templates, with the files that hold it."""
    catalog = Catalog(charset="utf-8")
    for path, text in _sources():
        for _line, message, _comments, context in extract.extract(
            "python", io.BytesIO(text.encode()), keywords=KEYWORDS
        ):
            catalog.add(message, locations=[(path, 0)], context=context)
    return catalog


def _sources() -> Iterator[tuple[str, str]]:
    """Each file that may hold texts: its path, and Python that names them."""
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            text = path.read_text()
            if "gettext" in text and "migrations" not in path.parts:
                yield str(path.relative_to(ROOT)), text
    for path in sorted((ROOT / "templates").rglob("*.html")):
        text = path.read_text()
        if "{% load i18n" in text:
            yield str(path.relative_to(ROOT)), templatize(text)


def updated(code: str) -> Catalog:
    """The kept catalog with exactly the texts of today; what is new has no translation."""
    kept = read(code)
    made = Catalog(locale=code, charset="utf-8", header_comment="# What recipients read.")
    for message in found():
        if message.id:
            known = kept.get(message.id, message.context)
            string = known.string if known and "fuzzy" not in known.flags else None
            made.add(message.id, string, locations=message.locations, context=message.context)
    return made


def as_text(catalog: Catalog) -> bytes:
    """The .po file; without times, so that nothing changes where no text does."""
    written = io.BytesIO()
    pofile.write_po(written, catalog, width=WIDTH, sort_output=True, omit_header=True, include_lineno=False)
    plural = f"nplurals={catalog.num_plurals}; plural={catalog.plural_expr};"
    head = (
        f'# What recipients read.\nmsgid ""\nmsgstr ""\n"Language: {catalog.locale}\\n"\n'
        f'"Content-Type: text/plain; charset=utf-8\\n"\n"Plural-Forms: {plural}\\n"\n\n'
    )
    return head.encode() + written.getvalue()


def compiled(code: str) -> bytes:
    """The .mo file of the kept catalog."""
    written = io.BytesIO()
    mofile.write_mo(written, _dateless(read(code)))
    return written.getvalue()


def _dateless(catalog: Catalog) -> Catalog:
    made = Catalog(locale=catalog.locale, charset="utf-8", creation_date=DATE, revision_date=DATE)
    for message in catalog:
        if message.id:
            made.add(message.id, message.string, context=message.context)
    return made


def missing(code: str) -> list[str]:
    """The texts that have no translation."""
    return [str(each.id) for each in updated(code) if each.id and not _is_whole(each.string)]


def _is_whole(string: Any) -> bool:
    return all(string) if isinstance(string, tuple | list) else bool(string)


def main() -> int:
    for code in CODES:
        path = path_of(code)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(as_text(updated(code)))
        path.with_suffix(".mo").write_bytes(compiled(code))
        for text in missing(code):
            sys.stdout.write(f"{code}: {text}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
