"""What a person types about a list."""

from typing import Any

from django import forms

from accounts.forms import ONE_LINE, Styled
from accounts.models import Workspace
from contacts.models import List, OptIn


class ListForm(Styled, forms.Form):
    name = forms.CharField(
        max_length=120,
        validators=[ONE_LINE],
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "Monthly newsletter"}),
        error_messages={"required": "Give the list a name."},
    )
    description = forms.CharField(
        required=False,
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="For your team: what is sent to this list, and how often.",
    )

    opt_in = forms.ChoiceField(
        label="Opt-in",
        required=False,
        choices=OptIn.choices,
        initial=OptIn.SINGLE,
        widget=forms.RadioSelect,
        help_text="What a sign-up takes. Double keeps mistyped and foreign addresses off the list, and proves consent.",
    )

    is_public = forms.BooleanField(
        label="Show it in the preference centre",
        required=False,
        help_text="Whoever gets a message of yours can subscribe to it there, and leave it.",
    )
    public_name = forms.CharField(
        label="Name there",
        required=False,
        max_length=120,
        validators=[ONE_LINE],
        help_text="As people know the list: on the preference centre, where they unsubscribe, and in List-Id, by which "
        "mail programs sort. Empty: its name.",
    )
    public_description = forms.CharField(
        label="What it is about, there",
        required=False,
        max_length=300,
        validators=[ONE_LINE],
        help_text="One sentence: what is sent, and how often.",
    )

    def __init__(self, *args: Any, workspace: Workspace, held: List | None = None, **kwargs: Any) -> None:
        if held:
            initial = {name: getattr(held, name) for name in self.base_fields}
            kwargs.setdefault("initial", initial)
        super().__init__(*args, use_required_attribute=False, **kwargs)
        self.held = held
        self.others = List.objects.of(workspace).exclude(pk=held.pk if held else None)

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        other = self.others.filter(name__iexact=name).first()
        if other:
            archived = " It is archived." if other.archived_at else ""
            raise forms.ValidationError(f"There is a list “{other}” already.{archived} Choose another name.")
        return name

    def clean_opt_in(self) -> str:
        """As it is, where nothing was chosen."""
        return self.cleaned_data["opt_in"] or (self.held.opt_in if self.held else OptIn.SINGLE)
