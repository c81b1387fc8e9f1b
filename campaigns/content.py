"""A campaign's content compiled: from MJML or HTML with merge tags to the parts of a message."""

import re
from typing import Final

from campaigns.markup import mjml, page
from campaigns.markup.lifted import Lifted
from campaigns.markup.plain import to_text
from campaigns.models import Campaign, ContentKind
from delivery import liquid
from delivery.content import Content

SOURCE_LIMIT: Final = 500_000  # bytes; mail programs cut messages at a fifth of it
TAG_LIMIT: Final = 2_000  # parsing what is never closed takes the square of their number
_COMMENT: Final = re.compile(r"<!--(?!vlq+\d+z-->).*?-->", re.DOTALL)


def compile_content(campaign: Campaign) -> Content:
    """The message, with an unsubscribe link and the postal address whatever was written.

    Raises: TemplateProblem: content, subject or preheader cannot be read; field and line say where.
    """
    source = campaign.content
    if len(source.encode(errors="replace")) > SOURCE_LIMIT:
        raise mjml.problem(
            f"The content is larger than {SOURCE_LIMIT // 1000} kB; mail programs would cut it off."
        )
    if source.count("{{") + source.count("{%") > TAG_LIMIT:
        raise mjml.problem(f"The content has more than {TAG_LIMIT:,} merge tags; a loop may say it shorter.")
    liquid.check(source, field="content", html=True)
    lifted = Lifted(source)
    html = mjml.to_html(lifted) if campaign.content_kind == ContentKind.MJML else page.inlined(lifted)
    html, text = _parts(html, lifted, campaign)
    for field in ("subject", "preheader"):
        liquid.check(getattr(campaign, field), field=field, html=False)
    _check_parts(html, text)
    return Content(
        subject=campaign.subject,
        html=html,
        text=text,
        from_name=campaign.from_name,
        from_email=campaign.from_email,
        reply_to=campaign.reply_to,
    )


def _parts(html: str, lifted: Lifted, campaign: Campaign) -> tuple[str, str]:
    """HTML and text with their merge tags; the footer holds what both would lack."""
    text = to_text(html, lifted)
    shown = _COMMENT.sub("", html)
    unsubscribe = not lifted.always_prints(shown, "unsubscribe_url")
    address = not (
        lifted.always_prints(shown, "workspace.postal_address")
        or _holds(text, campaign.workspace.postal_address)
    )
    finished = page.with_preheader(lifted.restore(html), campaign.preheader)
    finished = page.with_footer(finished, unsubscribe=unsubscribe, address=address)
    lines = ["{{ workspace.postal_address }}"] * address + [
        "Unsubscribe: {{ unsubscribe_url }}"
    ] * unsubscribe
    return finished, text + "\n-- \n" * bool(lines) + "".join(f"{line}\n" for line in lines)


def _holds(text: str, address: str) -> bool:
    words = " ".join(address.replace(",", " ").split())
    return bool(words) and words in " ".join(text.replace(",", " ").split())


def _check_parts(html: str, text: str) -> None:
    """A condition may be torn apart where it begins in one place and ends in another."""
    try:
        liquid.check(html, field="content", html=True)
        liquid.check(text, field="content", html=False)
    except liquid.TemplateProblem as torn:
        raise mjml.problem(
            "A merge tag begins in one place and ends in another, such as inside a tag and after it. "
            "Keep {% if %} and {% endif %} on the same level."
        ) from torn
