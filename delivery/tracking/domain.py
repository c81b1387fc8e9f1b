"""A workspace's own domain for links and pictures: whether it leads to this installation."""

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

import requests
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.models import User, record
from delivery.models import Tracking
from delivery.tracking import signing
from delivery.transports.base import CannotConnect
from delivery.transports.hosts import refuse_metadata

SECONDS: Final = 5.0  # for an answer
ANSWER_BYTES: Final = 200
NAME: Final = re.compile(r"(?=.{4,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{1,62}")


def leads_to() -> str:
    """What the domain's record names."""
    return urlsplit(settings.PUBLIC_URL).hostname or ""


def record_kind() -> str:
    """The kind of that record."""
    try:
        return "A" if ipaddress.ip_address(leads_to()).version == 4 else "AAAA"
    except ValueError:
        return "CNAME"


def check(rules: Tracking, *, by: User) -> None:
    """Ask the domain for the installation's mark, and use it from now on where it answers with it.

    Links that have left already go on as they were. Nothing of another answer is shown or kept.
    """
    base, said = _seen(rules.domain)
    with transaction.atomic():
        same = Tracking.objects.filter(workspace=rules.workspace_id, domain=rules.domain)
        same.update(domain_url=base, domain_said=said, domain_checked_at=timezone.now())
        record(by, "tracking.domain_checked", rules.domain, workspace=rules.workspace)


def _seen(domain: str) -> tuple[str, str]:
    """The address that links begin with and "", or "" and what is wrong."""
    schemes = ["https"] if settings.PUBLIC_URL.startswith("https://") else ["https", "http"]
    said = ""
    for scheme in schemes:
        said = _asked(f"{scheme}://{domain}")
        if not said:
            return f"{scheme}://{domain}", ""
    return "", said


def _asked(base: str) -> str:
    """What is wrong, in words; "" where it leads here."""
    host = urlsplit(base).hostname or ""
    try:
        refuse_metadata(host)
        with requests.get(
            f"{base}/.well-known/volley", timeout=SECONDS, allow_redirects=False, stream=True
        ) as answer:
            body = next(answer.iter_content(ANSWER_BYTES), b"")
    except CannotConnect:
        return f"{host} leads to a place that is not asked."
    except requests.exceptions.SSLError:
        return f"{host} has no valid certificate for https; your web server or proxy needs one for this name."
    except requests.exceptions.ConnectionError:
        return f"{host} does not answer. Does its DNS record lead to {leads_to()}, and is that known everywhere yet?"
    except requests.RequestException as error:
        return f"{host} could not be asked ({type(error).__name__})."
    if answer.status_code == 200 and body.strip() == signing.mark().encode():
        return ""
    return f"{host} answers, yet it is not this Volley that does. Let it lead to {leads_to()}."
