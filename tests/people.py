"""The same people in every test: Alice owns, Ada administers, Bob markets, Carol looks; Mallory is of another workspace."""

from django.test import Client

from accounts.models import Membership, Role, User, Workspace

PASSWORD = "correct horse battery"


def a_person(
    email: str, *, name: str = "", workspace: Workspace | None = None, role: Role = Role.VIEWER
) -> User:
    person = User.objects.filter(email=email).first() or User.objects.create_user(email, PASSWORD, name=name)
    if workspace:
        Membership.objects.get_or_create(workspace=workspace, user=person, defaults={"role": role})
    return person


def a_workspace(name: str = "Acme", **fields) -> Workspace:
    return Workspace.objects.create(name=name, postal_address="1 High Street, 12345 Springfield", **fields)


def signed_in(person: User) -> Client:
    client = Client()
    client.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client
