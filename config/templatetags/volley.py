"""What templates say often: times in the workspace's zone, shares, state badges. A builtin of every template."""

import datetime
import zoneinfo
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.timesince import timesince

register = template.Library()

# The colour of a state by its meaning; the word always stands beside it.
TONES = {
    "sent": "green", "finished": "green", "accepted": "green", "subscribed": "green", "done": "green",
    "sending": "blue", "running": "blue", "leased": "blue",
    "scheduled": "azure", "queued": "azure", "pending": "azure", "mapping": "azure",
    "paused": "yellow", "deferred": "yellow", "in_doubt": "yellow",
    "failed": "red", "rejected": "red", "hard_bounce": "red", "complaint": "red",
    "good": "green", "warning": "yellow", "wrong": "red",
    "bounced": "red", "complained": "red", "blocked": "orange", "soft_bounced": "yellow", "soft_bounce": "yellow",
    "delivered": "green",
}  # fmt: skip


@register.simple_tag
def badge(state: str, label: str) -> SafeString:
    """A state as a badge: {% badge campaign.state campaign.get_state_display %}."""
    return format_html('<span class="badge bg-{}-lt">{}</span>', TONES.get(state, "secondary"), label)


@register.simple_tag(takes_context=True)
def when(context: Any, moment: datetime.datetime | None) -> SafeString | str:
    """A time as people say it, the exact one in the workspace's zone on hover: {% when row.created_at %}."""
    if moment is None:
        return "–"
    exact = _local(context, moment)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        exact.isoformat(),
        exact.strftime("%-d %b %Y, %H:%M %Z"),
        _spoken(moment, exact),
    )


@register.simple_tag(takes_context=True)
def at(context: Any, moment: datetime.datetime | None) -> str:
    """The exact time in the workspace's zone: {% at campaign.scheduled_at %}."""
    return _local(context, moment).strftime("%a %-d %b %Y, %H:%M %Z") if moment else "–"


@register.simple_tag(takes_context=True)
def clock(context: Any, moment: datetime.datetime) -> str:
    """The time of day to the second, in the workspace's zone: {% clock bar.at %}."""
    return _local(context, moment).strftime("%H:%M:%S %Z")


@register.filter
def day(value: Any) -> Any:
    """A date that is kept as "YYYY-MM-DD", or "--MM-DD", as the house writes days; what is none stays as it is."""
    try:
        if str(value).startswith("--"):
            return datetime.date.fromisoformat(f"2000{value[1:]}").strftime("%-d %b")
        return datetime.date.fromisoformat(value).strftime("%-d %b %Y")
    except (TypeError, ValueError):
        return value


def _local(context: Any, moment: datetime.datetime) -> datetime.datetime:
    workspace = context.get("workspace")
    return moment.astimezone(workspace.zone if workspace else zoneinfo.ZoneInfo("UTC"))


def _spoken(moment: datetime.datetime, exact: datetime.datetime) -> str:
    age = timezone.now() - moment
    if datetime.timedelta(0) <= age < datetime.timedelta(minutes=1):
        return "just now"
    if datetime.timedelta(0) <= age < datetime.timedelta(days=2):
        return f"{timesince(moment, depth=1)} ago"
    return exact.strftime("%-d %b %Y, %H:%M")


@register.filter
def share(part: int, whole: int) -> str:
    """A percentage with one decimal, "–" of nothing: {{ sent|share:total }}."""
    return f"{100 * part / whole:.1f} %" if whole else "–"


@register.filter
def fine_share(part: int, whole: int) -> str:
    """A percentage where a hundredth matters, as of complaints: two decimals below one per cent."""
    if not whole:
        return "–"
    percent = 100 * part / whole
    return f"{percent:.2f} %" if 0 < percent < 1 else f"{percent:.1f} %"


@register.filter
def has_error(field: Any) -> bool:
    return bool(field.errors)


@register.simple_tag
def boxes(field: Any) -> SafeString:
    """A checkbox for each of the field's choices: {% boxes form.lists %}; written at once, as they may be a thousand."""
    ticked = {str(each) for each in field.value() or []}
    rows = (
        (
            field.html_name,
            value,
            f"{field.auto_id}_{place}",
            mark_safe(" checked") if str(value) in ticked else "",
            label,
        )
        for place, (value, label) in enumerate(field.field.choices)
    )
    return format_html_join(
        "\n",
        '<label class="form-check" data-choice><input class="form-check-input" type="checkbox" name="{}" value="{}" '
        'id="{}"{}><span class="form-check-label text-break">{}</span></label>',
        rows,
    )


@register.filter
def wrapped(address: str) -> str:
    """An address that is wrapped behind its @, where it has to be."""
    name, at, host = address.rpartition("@")
    return format_html("{}{}<wbr>{}", name, at, host) if at else address
