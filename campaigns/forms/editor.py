"""What is typed in the five steps: a form each, that keeps a draft whatever is wrong with it."""

from typing import Any

from django import forms
from django.db.models import Q, QuerySet

from accounts.errors import Refusal
from accounts.forms import NO_ADDRESS, ONE_LINE, Styled
from accounts.ids import id_in
from accounts.models import Workspace
from campaigns.actions import editing
from campaigns.content import compile_content, utm_tags
from campaigns.forms.moments import NoSuchMoment, as_typed, moment
from campaigns.models import Campaign, ContentKind
from campaigns.queries import audience
from contacts.models import List, Segment
from delivery import liquid
from delivery.liquid import TemplateProblem
from delivery.models import SendingAccount

SOURCE_LIMIT = 1_000_000  # characters that a draft keeps; compiling it asks for less
NOW, LATER = "now", "later"


class NewCampaignForm(Styled, forms.Form):
    name = forms.CharField(
        max_length=150,
        validators=[ONE_LINE],
        help_text="For you and your colleagues, such as “Spring sale, customers”. Recipients do not see it.",
        widget=forms.TextInput(attrs={"autofocus": True, "autocomplete": "off"}),
    )
    list = forms.ModelChoiceField(List.objects.none(), required=False, widget=forms.HiddenInput)
    segment = forms.ModelChoiceField(Segment.objects.none(), required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, workspace: Workspace, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offered = List.objects.of(workspace).filter(archived_at=None)
        self.fields["list"].queryset = offered  # type: ignore[attr-defined]
        self.fields["segment"].queryset = Segment.objects.of(workspace)  # type: ignore[attr-defined]


class Step(Styled, forms.Form):
    """A step of the editor. `kept` is what can be saved of it; `check` finds what is saved yet needs mending.

    unsaved: the labels of what cannot be saved as typed. refusal: why nothing was saved at all.
    waits_for: what an automatic save came too early for, as nobody types a date at once.
    """

    waits_for = ""

    def __init__(self, data: Any, *, campaign: Campaign) -> None:
        self.campaign = campaign
        self.unsaved: list[str] = []
        self.is_partly_saved = False
        self.refusal: Refusal | None = None
        super().__init__(data, initial=self.stored())
        for name, field in self.fields.items():
            field.widget.attrs["aria-describedby"] = f"problem-{name}"

    def full_clean(self) -> None:
        """Where nothing was typed, what is stored is what `check` looks at."""
        super().full_clean()
        if not self.is_bound:
            self.cleaned_data = self.stored()

    def stored(self) -> dict[str, Any]:
        raise NotImplementedError

    def keep(self) -> dict[str, Any]:
        """`kept`, once the rest has been named."""
        self.full_clean()
        kept = self.kept()
        self.unsaved = [str(self[name].label) for name in self.errors]
        self.is_partly_saved = len(kept) > len(self.unsaved)
        return kept

    def kept(self) -> dict[str, Any]:
        """What was typed, and what was stored wherever that cannot be stored."""
        stored = self.stored()
        return {name: self.cleaned_data.get(name, stored[name]) for name in self.fields}

    def check(self) -> None:
        """Add the errors of what is stored with its mistakes."""


def _choices(rows: type[List] | type[Segment]) -> forms.ModelMultipleChoiceField:
    return forms.ModelMultipleChoiceField(rows.objects.none(), required=False)


class AudienceForm(Step):
    lists = _choices(List)
    segments = _choices(Segment)
    excluded_lists = _choices(List)
    excluded_segments = _choices(Segment)

    def __init__(self, data: Any, *, campaign: Campaign) -> None:
        self.held = audience.chosen(campaign)
        super().__init__(data, campaign=campaign)
        self.offered_lists = _lists_for(campaign, [*self.held.lists, *self.held.excluded_lists])
        self.offered_segments = Segment.objects.of(campaign.workspace).order_by("name")
        for name, rows in (("lists", self.offered_lists), ("segments", self.offered_segments)):
            self._offer(name, rows)
            self._offer(f"excluded_{name}", rows)

    def stored(self) -> dict[str, Any]:
        return {name: list(getattr(self.held, name)) for name in self.base_fields}

    def kept(self) -> dict[str, Any]:
        """The rows that were ticked; where a tick makes no sense, the stored ones."""
        offered = {"lists": self.offered_lists, "segments": self.offered_segments}
        return {
            name: self.cleaned_data[name]
            if name in self.cleaned_data
            else offered[name.removeprefix("excluded_")].filter(pk__in=stored)
            for name, stored in self.stored().items()
        }

    def chosen(self, name: str) -> set[int]:
        """The ids that are ticked, as typed or as stored."""
        values = self.data.getlist(name) if self.is_bound else self.initial[name]  # type: ignore[attr-defined]
        return {pk for value in values if (pk := id_in(str(value))) is not None}

    def _offer(self, name: str, rows: QuerySet[Any]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ModelMultipleChoiceField)
        field.queryset = rows


def _lists_for(campaign: Campaign, held: list[int]) -> QuerySet[List]:
    """Those in use, and archived ones that are chosen already."""
    rows: QuerySet[List] = List.objects.of(campaign.workspace).filter(Q(archived_at=None) | Q(pk__in=held))
    return rows.order_by("name")


class ContentForm(Step):
    kind = forms.ChoiceField(choices=ContentKind.choices, label="Written in", widget=forms.RadioSelect)
    source = forms.CharField(
        max_length=SOURCE_LIMIT,
        required=False,
        strip=False,
        label="Content",
        widget=forms.Textarea(
            attrs={"rows": 24, "spellcheck": "false", "class": "font-monospace source", "wrap": "off"}
        ),
    )

    def stored(self) -> dict[str, Any]:
        return {"kind": self.campaign.content_kind, "source": self.campaign.content}

    def clean_source(self) -> str:
        """Line ends as the editor counts them, whatever the browser sent."""
        return str(self.cleaned_data["source"]).replace("\r\n", "\n")

    def check(self) -> None:
        self.line: int | None = None
        if not self.campaign.content.strip():
            return
        try:
            compile_content(self.campaign)
        except TemplateProblem as problem:
            if problem.field not in ("subject", "preheader"):
                self.line = problem.line
                self.add_error("source", problem.message)
        except Refusal as refusal:
            self.add_error("source", refusal.message)


class SenderForm(Step):
    subject = forms.CharField(max_length=250, required=False, validators=[ONE_LINE])
    preheader = forms.CharField(
        max_length=250,
        required=False,
        validators=[ONE_LINE],
        label="Preview text",
        help_text="What mail programs show after the subject in the list of messages.",
    )
    from_name = forms.CharField(max_length=120, required=False, validators=[ONE_LINE], label="From (name)")
    from_email = forms.EmailField(
        required=False, max_length=254, label="From (e-mail address)", error_messages=NO_ADDRESS
    )
    reply_to = forms.EmailField(
        required=False,
        max_length=254,
        label="Answers go to",
        help_text="Left empty, answers go to the From address.",
        error_messages=NO_ADDRESS,
    )
    account = forms.ModelChoiceField(
        SendingAccount.objects.none(),
        required=False,
        label="Sent through",
        empty_label="Choose a sending account",
        error_messages={"invalid_choice": "This sending account is no longer there; choose another one."},
    )
    track_opens = forms.BooleanField(required=False, label="Count who opens it")
    track_clicks = forms.BooleanField(required=False, label="Count who clicks which link")
    utm = forms.BooleanField(
        required=False,
        label="Tag links for web analytics",
        help_text="Adds utm_source, utm_medium and utm_campaign to web addresses that have no such tags of their own.",
    )
    utm_source = forms.CharField(max_length=100, required=False, validators=[ONE_LINE], label="Source")
    utm_medium = forms.CharField(max_length=100, required=False, validators=[ONE_LINE], label="Medium")
    utm_campaign = forms.CharField(max_length=100, required=False, validators=[ONE_LINE], label="Campaign")

    def __init__(self, data: Any, *, campaign: Campaign) -> None:
        super().__init__(data, campaign=campaign)
        account = self.fields["account"]
        assert isinstance(account, forms.ModelChoiceField)
        account.queryset = SendingAccount.objects.of(campaign.workspace)
        self.initial["account"] = campaign.account or account.queryset.filter(is_default=True).first()
        self.initial["from_name"] = campaign.from_name or campaign.workspace.name
        for name, usual in utm_tags(campaign, usual=True).items():
            self.fields[name].widget.attrs["placeholder"] = usual

    def kept(self) -> dict[str, Any]:
        """A box that is not ticked looks like one that was not shown: the card says that it was."""
        kept = super().kept()
        if "tracking" not in self.data:
            kept |= {name: value for name, value in self.stored().items() if name in editing.TRACKING}
        return kept

    def stored(self) -> dict[str, Any]:
        return {name: getattr(self.campaign, name) for name in self.base_fields}

    def check(self) -> None:
        """Merge tags that cannot be read."""
        for name in ("subject", "preheader"):
            try:
                liquid.check(self.cleaned_data.get(name, ""), field=name, html=False)
            except TemplateProblem as problem:
                self.add_error(name, problem.message)


class ScheduleForm(Step):
    when = forms.ChoiceField(choices=[(NOW, "When I press send"), (LATER, "At a date and time")])
    at = forms.CharField(
        required=False,
        max_length=40,
        label="Date and time",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local", "class": "w-auto"}),
    )
    starts_gradually = forms.BooleanField(required=False)

    def __init__(self, data: Any, *, campaign: Campaign, is_automatic: bool = False) -> None:
        self.is_automatic = is_automatic
        super().__init__(data, campaign=campaign)
        rules = campaign.workspace
        start = self.fields["starts_gradually"]
        start.label = f"Start gradually if it goes to {rules.gradual_from:,} people or more"
        start.help_text = (
            f"First to {rules.gradual_count:,} of them, and {rules.gradual_minutes} minutes later to the rest, unless too"
            " many of these messages bounce or are reported as spam. Untick it where everybody has to get it at once."
        )

    def stored(self) -> dict[str, Any]:
        at = self.campaign.scheduled_at
        when = {"when": LATER if at else NOW, "at": as_typed(at, self._zone()) if at else ""}
        return when | {"starts_gradually": self.campaign.starts_gradually}

    def clean(self) -> dict[str, Any]:
        """`moment`: when it is meant to leave, in UTC, or None for "when I press send"."""
        cleaned = self.cleaned_data
        cleaned["moment"] = None
        if cleaned.get("when") == LATER and self.is_automatic and not cleaned.get("at"):
            self.waits_for = "Not saved yet: choose a date and a time."
        elif cleaned.get("when") == LATER:
            try:
                cleaned["moment"] = moment(cleaned.get("at", ""), self._zone())
            except NoSuchMoment as problem:
                self.add_error("at", problem.message)
        return cleaned

    def kept(self) -> dict[str, Any]:
        """The box was there where the page says so; as for tracking."""
        is_known = not self.errors and not self.waits_for
        kept = {"at": self.cleaned_data["moment"] if is_known else self.campaign.scheduled_at}
        if "start" in self.data:
            kept["starts_gradually"] = self.cleaned_data["starts_gradually"]
        return kept

    def _zone(self) -> Any:
        workspace: Workspace = self.campaign.workspace
        return workspace.zone
