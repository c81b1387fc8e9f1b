"""What a person types to suppress addresses."""

from typing import Final

from django import forms

from accounts.forms import Styled
from contacts.importing import addresses

LINES_LIMIT: Final = 10_000
PROBLEMS_SHOWN: Final = 5


class SuppressForm(Styled, forms.Form):
    emails = forms.CharField(
        label="E-mail addresses",
        max_length=LINES_LIMIT * 100,
        widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false", "autofocus": True}),
        help_text=f"One on each line, at most {LINES_LIMIT:,}.",
        error_messages={"required": "Give at least one address."},
    )
    note = forms.CharField(
        required=False, max_length=500, help_text="Why, for your team. Kept with each address."
    )

    def clean_emails(self) -> list[str]:
        """The addresses; nothing is taken while a line is wrong, and the lines that are wrong are named."""
        lines = [
            (number, line.strip()) for number, line in enumerate(self.cleaned_data["emails"].splitlines(), 1)
        ]
        held = [(number, line) for number, line in lines if line]
        if len(held) > LINES_LIMIT:
            raise forms.ValidationError(f"These are {len(held):,} lines; at most {LINES_LIMIT:,} go at once.")
        found, problems = [], []
        for number, line in held:
            try:
                found.append(addresses.clean(line))
            except addresses.NotAnAddress as problem:
                problems.append(f"Line {number:,}, “{line[:60]}”: {problem}")
        if len(problems) > PROBLEMS_SHOWN:
            problems[PROBLEMS_SHOWN:] = [f"Wrong lines that follow: {len(problems) - PROBLEMS_SHOWN:,}."]
        if problems:
            raise forms.ValidationError(problems)
        return found
