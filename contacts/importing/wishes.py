"""What an import is to do, put together from its row for each step anew: lists and fields may be deleted meanwhile."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from accounts.errors import Refusal
from accounts.models import Workspace
from contacts.actions import tags
from contacts.importing.merge import Wishes
from contacts.importing.read import field_is_gone
from contacts.models import CustomField, Import, OptIn, SubscriptionStatus, Tag

NO_LIST: Final = 0  # stands for the list that the import will make


def of_check(run: Import) -> tuple[Wishes, list[str]]:
    """For counting only: what is not there yet has a number that nothing has. Returns: the new tags' names as well."""
    known = _known_tags(run.workspace, {*run.tags, *run.findings["tags"]})
    missing = list({name.lower(): name for name in _tag_names(run) if name.lower() not in known}.values())
    ids = known | {name.lower(): -place for place, name in enumerate(missing, 1)}
    wanted = _wishes(run, ids)
    return replace(wanted, list_ids=[*wanted.list_ids, NO_LIST]) if run.new_list else wanted, missing


def of_import(run: Import, tag_ids: dict[str, int]) -> Wishes:
    """For writing.

    Raises: Refusal: a list or a field is gone, or a field was changed.
    """
    wanted = {role.removeprefix("attribute:") for role in run.mapping if role.startswith("attribute:")}
    fields = CustomField.objects.filter(workspace=run.workspace_id, key__in=wanted)
    found = {field.key: field for field in fields}
    if missing := wanted - {*found}:
        raise field_is_gone(min(missing))
    refuse_changed(run, found.values())
    return _wishes(run, tag_ids)


def refuse_changed(run: Import, fields: Iterable[CustomField]) -> None:
    """Values were read by the fields as they were then; other options may have come, but none may have gone.

    Raises: Refusal.
    """
    for field in fields:
        pk, kind, options = run.findings.get("fields", {}).get(field.key, (field.pk, field.type, []))
        if (field.pk, field.type) != (pk, kind) or {*options} - {*field.options}:
            raise Refusal(
                f"The field “{field}” was changed after the file was checked. Check the file again before it is imported."
            )


def made_tags(run: Import) -> dict[str, int]:
    """{name in lower case: id} of all tags that it gives, made where they are not there yet."""
    names = _tag_names(run)
    found = {tag.name.lower(): tag.pk for tag in tags.named(run.workspace, names, by=run.created_by)}
    for name in names:  # the database lowers a few letters in another way
        if name.lower() not in found:
            found[name.lower()] = tags.named(run.workspace, [name], by=run.created_by)[0].pk
    if run.status == SubscriptionStatus.PENDING and (deaf := run.lists.exclude(opt_in=OptIn.DOUBLE).first()):
        raise Refusal(
            f"“{deaf}” is single opt-in by now and asks nobody to confirm, so the rest was not taken. "
            "Make it double opt-in again, or import the file anew."
        )
    return found


def _tag_names(run: Import) -> list[str]:
    return [*run.tags, *run.findings["tags"]]


def _known_tags(workspace: Workspace, names: set[str]) -> dict[str, int]:
    if not names:
        return {}
    return {tag.name.lower(): tag.pk for tag in Tag.objects.of(workspace)}


def _wishes(run: Import, tag_ids: dict[str, int]) -> Wishes:
    return Wishes(
        run_id=run.pk,
        workspace_id=run.workspace_id,
        mode=run.mode,
        roles=[role if isinstance(role, str) else f"attribute:{role['key']}" for role in run.mapping],
        status=run.status,
        list_ids=_list_ids(run),
        fixed_tags=[tag_ids[name.lower()] for name in run.tags],
        tags=[tag_ids[name.lower()] for name in run.findings["tags"]],
    )


def _list_ids(run: Import) -> list[int]:
    found = sorted(run.lists.filter(archived_at=None).values_list("pk", flat=True))
    if len(found) != run.list_count:
        raise Refusal(
            "A list that this import was to fill was deleted or archived meanwhile, so the rest was not taken. "
            "Import the file again and choose another list."
        )
    return found
