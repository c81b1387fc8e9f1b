"""What a person types to get in, and how every form of the house looks."""

import zoneinfo
from typing import Any

from allauth.account import forms as allauth
from allauth.core import context
from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator

from accounts.adapter import invited
from accounts.models import Role, Workspace

# What stands in a header of mail may hold none of the signs that end a line (RFC 5322 §2.2; str.splitlines).
ONE_LINE = RegexValidator(
    r"[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]", "Keep this on one line.", inverse_match=True
)

DAY_MINUTES = 1440
LONGEST_DOUBT = 720  # hours; later, nobody expects a message to be sent once more
# Messages of a gradual start: the circuit breaker judges from 200 (delivery.pipeline.settle), and not all are reached.
LEAST_SHARE = 300


class Styled:
    """First base of a form: Tabler's classes on its widgets, and `is-invalid` on those with an error."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():  # type: ignore[attr-defined]
            css = _css_class(field.widget)
            field.widget.attrs["class"] = f"{field.widget.attrs.get('class', '')} {css}".strip()

    def full_clean(self) -> None:
        super().full_clean()  # type: ignore[misc]
        for name in self.errors:  # type: ignore[attr-defined]
            if name in self.fields:  # type: ignore[attr-defined]
                self.fields[name].widget.attrs["class"] += " is-invalid"  # type: ignore[attr-defined]


NO_ADDRESS = {"invalid": "This is no e-mail address, such as anna@example.com."}
# What allauth's forms call their fields, and what those are called everywhere else.
LABELS = {
    "Email": "E-mail address",
    "Current Password": "Current password",
    "New Password": "New password",
    "New Password (again)": "New password, once more",
}


class InOurWords:
    """Second base of allauth's forms: our labels, and no placeholders that only repeat them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():  # type: ignore[attr-defined]
            field.label = LABELS.get(str(field.label), field.label)
            field.widget.attrs.pop("placeholder", None)
            if isinstance(field, forms.EmailField):
                field.error_messages |= NO_ADDRESS


def _css_class(widget: forms.Widget) -> str:
    match widget:
        case forms.CheckboxInput() | forms.RadioSelect() | forms.CheckboxSelectMultiple():
            return "form-check-input"
        case forms.Select():
            return "form-select"
    return "form-control"


class SignupForm(Styled, InOurWords, allauth.SignupForm):
    """E-mail and password, and what the first workspace is called; who is invited joins one that is there."""

    name = forms.CharField(label="Your name", max_length=120, required=False, validators=[ONE_LINE])
    workspace = forms.CharField(
        label="Company or project",
        max_length=120,
        required=False,
        validators=[ONE_LINE],
        help_text="The name of your workspace.",
    )
    time_zone = forms.CharField(required=False, widget=forms.HiddenInput(attrs={"data-time-zone": ""}))
    field_order = ("email", "password1", "name", "workspace")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.invitation = invited(context.request) if context.request else None
        if self.invitation:
            self.initial.setdefault("email", self.invitation.email)
            del self.fields["workspace"]

    def clean_time_zone(self) -> str:
        """The browser's zone, or UTC where it names none that we know."""
        zone: str = self.cleaned_data["time_zone"]
        return zone if zone in zoneinfo.available_timezones() else "UTC"


class LoginForm(Styled, InOurWords, allauth.LoginForm):
    pass


class ResetPasswordForm(Styled, InOurWords, allauth.ResetPasswordForm):
    pass


class ResetPasswordKeyForm(Styled, InOurWords, allauth.ResetPasswordKeyForm):
    pass


class ChangePasswordForm(Styled, InOurWords, allauth.ChangePasswordForm):
    pass


class AddEmailForm(Styled, InOurWords, allauth.AddEmailForm):
    pass


# The fields of a workspace's settings under their headings, in the order of the page.
SETTINGS = (
    ("", ("name", "language", "time_zone", "postal_address")),
    (
        "A campaign pauses itself when too many are",
        (
            "pause_at_rejected_percent",
            "pause_at_bounced_percent",
            "pause_at_complained_percent",
            "pause_at_unsubscribed_percent",
            "pause_at_blocked_percent",
        ),
    ),
    ("Large campaigns start gradually", ("gradual_from", "gradual_count", "gradual_minutes")),
    ("Soft bounces", ("soft_bounce_limit", "soft_bounce_days", "soft_suppression_days")),
    ("When nobody knows if a message arrived", ("repeats_in_doubt", "in_doubt_then", "in_doubt_hours")),
)


class WorkspaceForm(Styled, forms.ModelForm):
    name = forms.CharField(max_length=120, validators=[ONE_LINE])
    language = forms.ChoiceField(
        label="Language towards recipients",
        choices=settings.LANGUAGES,
        required=False,
        help_text="Of the pages that links in messages lead to, where neither the person nor their browser says another, "
        "and of what Volley itself writes into messages.",
    )

    class Meta:
        model = Workspace
        fields = tuple(name for _, names in SETTINGS for name in names)
        widgets = {
            "time_zone": forms.TextInput(attrs={"list": "time-zones", "autocomplete": "off"}),
            "postal_address": forms.Textarea(attrs={"rows": 3}),
        }
        labels = {
            "pause_at_rejected_percent": "Rejected at once (%)",
            "pause_at_bounced_percent": "Bounced for good (%)",
            "pause_at_complained_percent": "Reported as spam (%)",
            "pause_at_unsubscribed_percent": "Unsubscribed (%)",
            "pause_at_blocked_percent": "Blocked by one receiving domain (%)",
            "gradual_from": "Campaigns to so many people or more",
            "gradual_count": "Go to so many first",
            "gradual_minutes": "To the rest so many minutes later",
            "soft_bounce_limit": "Suppress an address after so many in a row",
            "soft_bounce_days": "Over so many days at least",
            "soft_suppression_days": "Suppress it for so many days",
            "repeats_in_doubt": "Send it once more at once",
            "in_doubt_then": "Messages that are in doubt",
            "in_doubt_hours": "So many hours after their campaign has ended",
        }
        help_texts = {
            "pause_at_rejected_percent": "Refused as they were handed over. All of these count from the 200th message on; "
            "0: never.",
            "pause_at_bounced_percent": "Of all messages sent, or of those of the last minutes."
            " Old and bought lists are above 5.",
            "pause_at_complained_percent": "Gmail and Yahoo put a domain’s mail aside from 0.3 on,"
            " and ask for less than 0.1.",
            "pause_at_blocked_percent": "Of the messages to it, from 20 blocked ones on.",
            "gradual_from": "What is wrong with a list or a message shows in what comes back of the first ones, while the"
            " rest can still be kept from leaving. Each campaign can do without. 0: never.",
            "gradual_count": f"{LEAST_SHARE} at least: fewer say too little for a campaign to pause itself.",
            "gradual_minutes": "A bounce comes back within minutes, a complaint mostly within hours.",
            "soft_bounce_limit": "A soft bounce may pass, such as a full mailbox."
            " Any message that arrives begins the row anew. 0: never.",
            "soft_bounce_days": "Several on one day may be one trouble of that server.",
            "soft_suppression_days": "Then it is tried again. 0: for good.",
            "repeats_in_doubt": "When the connection to a mail server breaks after a message was handed over. "
            "Off, and always through a provider's API, such a message is held as “in doubt”.",
            "in_doubt_then": "Whatever comes back of one, a delivery, a bounce, an open, settles it before. "
            "Each campaign’s report says what will be done, and lets you decide earlier.",
            "in_doubt_hours": f"From 1 to {LONGEST_DOUBT}. Holds for campaigns that end from now on.",
            "time_zone": "Times are shown in it, and campaigns scheduled.",
            "postal_address": "Stands at the foot of every campaign; the law of most countries asks for it.",
        }

    @property
    def groups(self) -> list[tuple[str, list[forms.BoundField]]]:
        """The fields under their headings, in the order of the page."""
        return [(heading, [self[name] for name in names]) for heading, names in SETTINGS]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        for name, percent in list(data.items()):
            if name.endswith("_percent") and not 0 <= percent <= 100:  # which no "nan" is, either
                self.add_error(name, "Give a number from 0 to 100.")
        return data

    def clean_in_doubt_hours(self) -> int:
        hours: int = self.cleaned_data["in_doubt_hours"]
        if not 1 <= hours <= LONGEST_DOUBT:
            raise ValidationError(f"Give a number from 1 to {LONGEST_DOUBT}.")
        return hours

    def clean_gradual_minutes(self) -> int:
        minutes: int = self.cleaned_data["gradual_minutes"]
        if not 1 <= minutes <= DAY_MINUTES:
            raise ValidationError(f"Give from 1 to {DAY_MINUTES} minutes, which is a day.")
        return minutes

    def clean_gradual_count(self) -> int:
        count: int = self.cleaned_data["gradual_count"]
        if count < LEAST_SHARE:
            raise ValidationError(f"Give {LEAST_SHARE} or more: fewer say little about a list.")
        return count

    def clean_language(self) -> str:
        """As it is, where nothing was chosen."""
        return self.cleaned_data["language"] or self.instance.language


class NewWorkspaceForm(Styled, forms.Form):
    name = forms.CharField(
        label="Name", max_length=120, validators=[ONE_LINE], help_text="A company, a brand or a project."
    )
    time_zone = forms.CharField(required=False, widget=forms.HiddenInput(attrs={"data-time-zone": ""}))
    clean_time_zone = SignupForm.clean_time_zone


class InviteForm(Styled, forms.Form):
    email = forms.EmailField(label="E-mail address", max_length=254, error_messages=NO_ADDRESS)
    role = forms.ChoiceField(label="Role", choices=Role.choices, initial=Role.MARKETER)


class RoleForm(forms.Form):
    role = forms.ChoiceField(choices=Role.choices)
