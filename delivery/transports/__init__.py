"""The ways out, one module each; `connect` opens the one that a sending account names."""

from django.conf import settings as django_settings

from delivery import providers
from delivery.models import SendingAccount
from delivery.secrets import SecretsLost, unseal
from delivery.transports import esp, smtp
from delivery.transports.base import CannotConnect, Connection, Fate, Outcome
from delivery.transports.hosts import refuse_metadata


def connect(account: SendingAccount) -> Connection:
    """Open a connection for one lane.

    Raises: CannotConnect: in the server's words, and whether the account or the moment is to blame.
    """
    if account.provider == providers.INBOX.name:
        return smtp.connect(host=django_settings.INBOX_HOST, port=django_settings.INBOX_PORT)
    try:
        secrets = unseal(account.secrets)
    except SecretsLost as error:
        raise CannotConnect(Outcome(Fate.ACCOUNT_STOPPED, server_said=error.message)) from error
    if account.provider == providers.SMTP.name:
        return _connect_smtp(account, secrets.get("password", ""))
    return esp.connect(providers.PROVIDERS[account.provider], account.settings, secrets)


def _connect_smtp(account: SendingAccount, password: str) -> Connection:
    values = account.settings
    refuse_metadata(values["host"])
    return smtp.connect(
        host=values["host"],
        port=int(values["port"]),
        security=values.get("security", "none"),
        user=values.get("user", ""),
        password=password,
    )
