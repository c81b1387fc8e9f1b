"""The mail that asks to confirm: a plain text with merge tags, and the simple page that is made of it."""

import html as entities
import re
from typing import Final

from django.utils import translation
from django.utils.translation import gettext, gettext_noop

from accounts.errors import Refusal
from accounts.models import Workspace
from contacts.models import List
from delivery import links
from delivery.confirming.sender import Sender
from delivery.content import Content
from delivery.models import Confirmation
from delivery.pipeline.mold import EXAMPLE, Mold
from delivery.preview import SAMPLE, draft_mold

SUBJECT: Final = gettext_noop("Please confirm: {{ list.name }}")
# Nothing that the person typed stands in it: a form is open to everybody, and a "first name" may be an advertisement.
BODY: Final = gettext_noop("""Hello,

somebody, most likely you, gave this address to {{ workspace.name }} to get “{{ list.name }}”. If it was you, confirm it:

{{ confirm_url }}

If it was not you, there is nothing to do: without the confirmation you get none of it.

{{ workspace.name }}
""")
NAME: Final = "Confirmation"  # what {{ campaign.name }} prints
BODY_LIMIT: Final = 20_000  # characters

_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_LINK_TAG = re.compile(r"\{\{-?\s*confirm_url\s*-?\}\}")
_HELD = re.compile("\ue000(\\d+)\ue001")
_WEB_ADDRESS = re.compile(r"https?://[^\s<>\"\ue000]+[^\s<>\"\ue000.,;:!?)]")
PAGE: Final = """<!DOCTYPE html>
<html lang="%(language)s">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><meta name="supported-color-schemes" content="light dark"></head>
<body style="margin:0;padding:24px 12px;font:16px/1.5 -apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif">
<div style="max-width:560px;margin:0 auto">
"""
BUTTON: Final = """<p style="margin:24px 0"><a href="{{ confirm_url }}" style="display:inline-block;padding:12px 22px;\
border-radius:6px;background:#0b5ed7;color:#ffffff;font-weight:600;text-decoration:none">%(confirm)s</a></p>
<p style="margin:0 0 16px;font-size:13px;color:#667382">%(or_open)s<br>\
<a href="{{ confirm_url }}" style="color:#667382;word-break:break-all">{{ confirm_url }}</a></p>
"""
FOOTER: Final = """<p style="margin:32px 0 0;padding-top:12px;border-top:1px solid #d5dae1;font-size:12px;color:#667382">\
{{ workspace.name }}{% if workspace.postal_address != "" %}<br>{{ workspace.postal_address | newline_to_br }}{% endif %}<br>\
<a href="{{ unsubscribe_url }}" style="color:#667382">%(not_me)s</a></p>
</div>
</body>
</html>
"""
TEXT_FOOTER: Final = """
--
{{ workspace.name }}
{% if workspace.postal_address != "" %}{{ workspace.postal_address }}
{% endif %}%(not_me)s: {{ unsubscribe_url }}
"""


class NoLink(Refusal):
    code = "no_confirm_link"


def words_of(held: List) -> Confirmation:
    """How the list asks: as somebody wrote it, or as Volley does; one query."""
    found = Confirmation.objects.select_related("account").filter(pk=held.pk).first()
    with translation.override(held.workspace.language):
        return found or Confirmation(list=held, subject=gettext(SUBJECT), body=gettext(BODY))


def compiled(words: Confirmation, sender: Sender) -> Content:
    """The message; what Volley adds is in the workspace's language. Raises: TemplateProblem, when it is made into a mold."""
    body, language = words.body.replace("\r\n", "\n"), words.list.workspace.language
    with translation.override(language):
        page, not_me = page_of(body), gettext("Not me, do not ask again")
    return Content(
        subject=words.subject,
        html=PAGE.replace("%(language)s", language) + page,
        html_end=FOOTER.replace("%(not_me)s", not_me),
        text=body,
        text_end=TEXT_FOOTER.replace("%(not_me)s", not_me),
        from_name=sender.name,
        from_email=sender.email,
        reply_to=sender.reply_to,
    )


def checked(words: Confirmation, workspace: Workspace, sender: Sender) -> None:
    """Try the mail on somebody who is known by name and on somebody who is not.

    Raises: TemplateProblem; NoLink: one of them would find nothing to confirm by.
    """
    mold, link = draft(words, workspace, sender), links.confirm_url(EXAMPLE)
    for reader in (SAMPLE, SAMPLE._replace(first_name="", last_name="")):
        seen = mold.render(reader)
        if link not in seen.text or f'href="{link}"' not in seen.html:
            raise NoLink("The mail has no link to confirm by. Write {{ confirm_url }} on a line of its own.")


def draft(words: Confirmation, workspace: Workspace, sender: Sender) -> Mold:
    content = compiled(words, sender)
    return draft_mold(content, workspace=workspace, name=NAME, list_name=words.list.shown_name)


def page_of(body: str) -> str:
    """The text as HTML: a paragraph for each, a button where the link stands alone, addresses that can be followed.

    Merge tags are left as they are; what surrounds them is text and never markup.
    """
    tags: list[str] = []

    def hold(found: re.Match[str]) -> str:
        tags.append(found[0])
        return f"\ue000{len(tags) - 1}\ue001"

    plain = _TAG.sub(hold, body.replace("\ue000", "").replace("\ue001", ""))
    parts = (_paragraph(part.strip("\n"), tags) for part in re.split(r"\n[ \t]*\n", plain) if part.strip())
    return _HELD.sub(lambda found: _shown(tags[int(found[1])]), "".join(parts))


def _paragraph(text: str, tags: list[str]) -> str:
    alone = [tags[int(number)] for number in _HELD.findall(text)] if not _HELD.sub("", text).strip() else []
    if len(alone) == 1 and _LINK_TAG.fullmatch(alone[0]):
        confirm, or_open = gettext("Confirm my subscription"), gettext("Or open this address:")
        return BUTTON.replace("%(confirm)s", confirm).replace("%(or_open)s", or_open)
    if alone and all(tag.startswith("{%") for tag in alone):
        return text  # a condition around whole paragraphs
    lines = "<br>\n".join(entities.escape(text, quote=False).split("\n"))
    linked = _WEB_ADDRESS.sub(r'<a href="\g<0>">\g<0></a>', lines)
    return f'<p style="margin:0 0 16px">{linked}</p>\n'


def _shown(tag: str) -> str:
    return f'<a href="{tag}">{tag}</a>' if _LINK_TAG.fullmatch(tag) else tag
