"""The molds of this process, each compiled once, and what their messages say of the workspace."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from accounts.models import Workspace
from contacts.fitting import defaults
from contacts.models import CustomField, List
from delivery import providers
from delivery.bounces import addresses
from delivery.content import Content
from delivery.models import Mailing
from delivery.pipeline.mold import Frame, Mold
from delivery.tracking.rules import rules_of
from delivery.tracking.writing import Tracked

MOLDS_KEPT = 8
_molds: OrderedDict[tuple[int, bool], Mold] = OrderedDict()


def mold_of(mailing: Mailing) -> Mold:
    """The mailing's mold, compiled once in this process, and again when bounces are to go elsewhere.

    A plain one where its account is an ESP's.
    """
    is_plain = providers.PROVIDERS[mailing.account.provider].is_esp
    key = mailing.pk, is_plain
    known = _molds.get(key)
    if known is None or known.frame.return_path != addresses.return_path_of(mailing.account):
        _molds[key] = Mold(Content(**mailing.content), frame_of(mailing), is_plain=is_plain)
        while len(_molds) > MOLDS_KEPT:
            _molds.popitem(last=False)
    _molds.move_to_end(key)
    return _molds[key]


def frame_of(mailing: Mailing) -> Frame:
    """What all its messages have in common, frozen at the launch."""
    said = mailing.frame or said_of(mailing.workspace)
    tracking = dict(said.get("tracking") or {})
    before = tracking.pop("base", "")  # mailings of an older Volley have it there
    return Frame(
        mailing_id=mailing.pk,
        workspace_id=mailing.workspace_id,
        workspace_name=said["workspace_name"],
        postal_address=said["postal_address"],
        campaign_name=mailing.name,
        is_test=mailing.is_test,
        return_path=addresses.return_path_of(mailing.account),
        leave_path=addresses.leave_path_of(mailing.account),
        base=said.get("base") or before,
        list_name=said.get("list_name"),
        sent_to=tuple(said["sent_to"]) if said.get("sent_to") else None,
        defaults=said.get("defaults", {}),
        tracking=Tracked(**tracking) if tracking else None,
    )


def said_of(
    workspace: Workspace, *, list_ids: Sequence[int] = (), confirms: List | None = None
) -> dict[str, Any]:
    """What a mailing keeps of its workspace: later changes in its settings and fields are for later mailings.

    list_ids: of the lists that it is sent to. confirms: the list that it asks to confirm.
    """
    said: dict[str, Any] = {
        "workspace_name": workspace.name,
        "postal_address": workspace.postal_address,
        "defaults": defaults_of(workspace),
        "base": rules_of(workspace).domain_url,
    }
    if confirms:
        said["list_name"] = confirms.shown_name
    if only := confirms or _only(workspace, list_ids):
        said["sent_to"] = [only.pk, only.shown_name]
    return said


def _only(workspace: Workspace, list_ids: Sequence[int]) -> List | None:
    return List.objects.of(workspace).filter(pk__in=list_ids).first() if len(list_ids) == 1 else None


def defaults_of(workspace: Workspace) -> dict[str, Any]:
    return defaults(CustomField.objects.of(workspace).exclude(default=""))
