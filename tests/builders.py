"""Builders with sensible defaults: a_contact(workspace, subscribed_to=[news]) and so on."""


def an_account(workspace, *, provider="smtp", name="Post office", secrets=None, settings=None, **fields):
    """A sending account; an SMTP one at a port where nobody listens unless `settings` says otherwise."""
    from delivery.models import SendingAccount
    from delivery.secrets import seal

    if settings is None and provider == "smtp":
        settings = {"host": "127.0.0.1", "port": 9, "security": "none", "user": ""}
    return SendingAccount.objects.create(
        workspace=workspace, provider=provider, name=name, settings=settings or {}, secrets=seal(secrets or {}), **fields
    )
