"""What campaigns let go of when a person is erased; hung into `contacts.registry`."""

from contacts import masking
from contacts.registry import Person


def erase(person: Person) -> None:
    """Servers' words that say why a campaign stopped may quote a recipient."""
    masking.mask("campaigns_campaign", ["state_reason"], person.pattern, workspace_id=person.workspace.pk)
