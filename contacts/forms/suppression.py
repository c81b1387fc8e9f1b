"""What a person types, pastes or uploads to suppress addresses."""

import csv
import io
import re
from typing import Any, Final, NamedTuple

from django import forms
from django.core.files.uploadedfile import UploadedFile

from accounts.forms import Styled
from accounts.models import Workspace
from contacts.importing import addresses
from contacts.models import List
from contacts.queries.suppression import lists_with_own

LINES_LIMIT: Final = 10_000
FILE_LINES: Final = 200_000  # written in one go, some seconds
FILE_BYTES: Final = 20 * 2**20
PROBLEMS_SHOWN: Final = 5
HASH: Final = re.compile(r"[0-9a-fA-F]{64}")  # SHA-256 of the address in lower case, as other systems export


class Typed(NamedTuple):
    """left_out: lines of a file in which there is no address."""

    emails: list[str]
    digests: list[bytes]
    left_out: int = 0


class SuppressForm(Styled, forms.Form):
    """`cleaned_data["typed"]` is what came, from the file or the box."""

    emails = forms.CharField(
        label="E-mail addresses",
        required=False,
        max_length=LINES_LIMIT * 100,
        widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false", "autofocus": True}),
        help_text=f"One on each line, at most {LINES_LIMIT:,}. SHA-256 hashes of addresses in lower case go, too.",
    )
    file = forms.FileField(
        label="Or a file",
        required=False,
        widget=forms.FileInput(
            attrs={"accept": ".csv,.txt,text/csv,text/plain", "data-max-bytes": str(FILE_BYTES)}
        ),
        help_text=f"CSV or text with an address or a hash in each line, at most {FILE_LINES:,}; such as another "
        "system’s suppression list.",
        error_messages={"empty": "The file is empty. Export it again, or choose another one."},
    )
    list = forms.ModelChoiceField(
        List.objects.none(),
        label="For",
        required=False,
        empty_label="Everything that is sent",
        help_text="For one list: whoever is on another list, too, still gets that.",
    )
    note = forms.CharField(
        required=False, max_length=500, help_text="Why, for your team. Kept with each address."
    )

    def __init__(self, *args: Any, workspace: Workspace, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["list"]
        field.queryset = lists_with_own(workspace).order_by("name")

    def clean_emails(self) -> Typed:
        """Nothing is taken while a line is wrong, and the lines that are wrong are named."""
        lines = [
            (number, line.strip()) for number, line in enumerate(self.cleaned_data["emails"].splitlines(), 1)
        ]
        held = [(number, line) for number, line in lines if line]
        if len(held) > LINES_LIMIT:
            raise forms.ValidationError(f"These are {len(held):,} lines; at most {LINES_LIMIT:,} go at once.")
        typed, problems = Typed([], []), []
        for number, line in held:
            try:
                _take(line, typed)
            except addresses.NotAnAddress as problem:
                problems.append(f"Line {number:,}, “{line[:60]}”: {problem}")
        if len(problems) > PROBLEMS_SHOWN:
            problems[PROBLEMS_SHOWN:] = [f"Wrong lines that follow: {len(problems) - PROBLEMS_SHOWN:,}."]
        if problems:
            raise forms.ValidationError(problems)
        return typed

    def clean_file(self) -> Typed:
        """Of each line the first cell that is an address or a hash; headings and other lines are left out."""
        file: UploadedFile | None = self.cleaned_data["file"]
        if file is None:
            return Typed([], [])
        if (file.size or 0) > FILE_BYTES:
            raise forms.ValidationError(f"The file is larger than {FILE_BYTES // 2**20} MB; split it.")
        typed, left_out = Typed([], []), 0
        try:
            for number, cells in enumerate(_rows(file.read()), 1):
                if number > FILE_LINES:
                    raise forms.ValidationError(f"The file has more than {FILE_LINES:,} lines; split it.")
                left_out += not _take_first(cells, typed)
        except csv.Error as error:  # a cell longer than any address; its limit is the whole process's
            raise forms.ValidationError(f"The file cannot be read as CSV: {error}.") from error
        if not (typed.emails or typed.digests):
            raise forms.ValidationError("There is no e-mail address in this file, and no SHA-256 hash.")
        return typed._replace(left_out=left_out)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.errors:
            return data
        typed = data["file"] if data["file"].emails or data["file"].digests else data["emails"]
        if not (typed.emails or typed.digests):
            self.add_error("emails", "Give at least one address.")
        elif typed.digests and data["list"]:
            self.add_error("list", "Hashes are suppressed for everything that is sent; choose no list.")
        return data | {"typed": typed}


def _take(line: str, typed: Typed) -> None:
    """Raises: NotAnAddress."""
    if HASH.fullmatch(line):
        typed.digests.append(bytes.fromhex(line))
    else:
        typed.emails.append(addresses.clean(line))


def _take_first(cells: list[str], typed: Typed) -> bool:
    for cell in cells:
        if "@" not in cell and not HASH.fullmatch(cell.strip()):
            continue
        try:
            _take(cell.strip(), typed)
        except addresses.NotAnAddress:
            continue
        return True
    return False


def _rows(data: bytes) -> Any:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", errors="replace")
    text = text.replace("\0", "")
    line = text.partition("\n")[0]
    delimiter = max(",;\t|", key=line.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    return (cells for cells in rows if any(cell.strip() for cell in cells))


class LiftForm(Styled, forms.Form):
    consent = forms.CharField(
        label="How did they ask to get mail again?",
        max_length=150,
        help_text="Such as “by mail to our support on 3 May”. It is kept in the audit trail.",
        error_messages={"required": "Without their wish this would be against their will."},
    )
