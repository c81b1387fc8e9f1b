"""What a person types about the mail that asks to confirm."""

from typing import Any, Final

from django import forms

from accounts.forms import NO_ADDRESS, ONE_LINE, Styled
from contacts.models import List
from delivery.confirming.sender import usual_sender
from delivery.confirming.wording import BODY_LIMIT
from delivery.models import Confirmation, SendingAccount

BESIDE: Final = {
    "subject": "subject"
}  # the field of a template's problem beside which it is said; else the body


class ConfirmationForm(Styled, forms.Form):
    subject = forms.CharField(
        max_length=250, validators=[ONE_LINE], error_messages={"required": "Give the mail a subject."}
    )
    body = forms.CharField(
        label="Text",
        max_length=BODY_LIMIT,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 14, "spellcheck": "true"}),
        error_messages={"required": "Write what the mail says."},
        help_text="Plain text; an empty line begins a paragraph. {{ confirm_url }} on a line of its own becomes the "
        "button. Also {{ list.name }}, {{ workspace.name }} and {{ contact.first_name }}; leave the last one out "
        "where strangers fill in a form, since what they type as a name would be sent in your name.",
    )
    from_name = forms.CharField(max_length=120, required=False, validators=[ONE_LINE], label="From (name)")
    from_email = forms.EmailField(
        required=False, max_length=254, label="From (e-mail address)", error_messages=NO_ADDRESS
    )
    reply_to = forms.EmailField(
        required=False,
        max_length=254,
        label="Answers go to",
        error_messages=NO_ADDRESS,
        help_text="Left empty, answers go to the From address.",
    )
    account = forms.ModelChoiceField(
        SendingAccount.objects.none(),
        required=False,
        label="Sending account",
        empty_label="The workspace’s default",
    )

    def __init__(self, data: Any, *, words: Confirmation, held: List) -> None:
        names = ("subject", "body", "from_name", "from_email", "reply_to", "account")
        initial = {name: getattr(words, name) for name in names}
        super().__init__(data, initial=initial, use_required_attribute=False)
        self.words, self.held = words, held
        self.fields["account"].queryset = SendingAccount.objects.of(held.workspace)  # type: ignore[attr-defined]
        usual = usual_sender(held.workspace)
        if usual.email:
            self.fields["from_email"].help_text = f"Left empty: {usual.email}, as the latest mail was sent."

    def clean_body(self) -> str:
        return str(self.cleaned_data["body"]).replace("\r\n", "\n")

    def typed(self) -> Confirmation:
        """The mail as it is typed; what cannot be read is as it is stored."""
        self.full_clean()
        made = Confirmation(list=self.held)
        for name in self.fields:
            setattr(made, name, self.cleaned_data.get(name, getattr(self.words, name)))
        return made
