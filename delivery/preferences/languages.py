"""In which language a recipient reads our pages: as they chose, as the marketer knows, as their browser says."""

from contextlib import AbstractContextManager

from django.conf import settings
from django.http import HttpRequest
from django.utils import translation
from django.utils.translation.trans_real import parse_accept_lang_header

from accounts.models import Workspace
from contacts.models import Contact

FIELD = "language"  # the key of a custom field that is asked, too


def of(request: HttpRequest, contact: Contact | None = None, workspace: Workspace | None = None) -> str:
    """A code of settings.LANGUAGES."""
    return (
        (contact and of_contact(contact))
        or of_browser(request.headers.get("Accept-Language", ""))
        or (workspace.language if workspace else "")
        or settings.LANGUAGE_CODE
    )


def reading(
    request: HttpRequest, contact: Contact | None = None, workspace: Workspace | None = None
) -> AbstractContextManager[None]:
    """While it lasts, texts are in the reader's language."""
    return translation.override(of(request, contact, workspace))


def of_contact(contact: Contact) -> str:
    """What is known of the person, or ""."""
    return contact.language or _known(str(contact.attributes.get(FIELD) or ""))


def of_browser(accepts: str) -> str:
    """The first of ours that the header Accept-Language asks for, or ""."""
    asked = parse_accept_lang_header(accepts)
    return next((known for code, _weight in asked if (known := _known(code))), "")


def _known(words: str) -> str:
    """The language behind a code ("de-AT") or a name ("German", "Deutsch"), or ""."""
    code = words.strip().lower().replace("_", "-").partition("-")[0]
    for known, own_name in settings.LANGUAGES:
        if code in (known, own_name.lower(), translation.get_language_info(known)["name"].lower()):
            return known
    return ""
