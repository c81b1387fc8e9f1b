"""A campaign's content compiled: from MJML or HTML with merge tags to the parts of a message."""

from typing import Final

from django.utils import translation
from django.utils.text import slugify

from campaigns.markup import lifted, links, mjml, page, plain, shown
from campaigns.markup.lifted import Lifted
from campaigns.models import Campaign, ContentKind
from delivery import liquid
from delivery.content import Content

SOURCE_LIMIT: Final = 500_000  # bytes; mail programs cut messages at a fifth of it
TAG_LIMIT: Final = 2_000  # parsing what is never closed takes the square of their number


def compile_content(campaign: Campaign) -> Content:
    """The message, with an unsubscribe link and the postal address whatever was written.

    Raises: TemplateProblem: content, subject or preheader cannot be read; field and line say where.
    """
    for field in ("subject", "preheader"):
        _lift(getattr(campaign, field), field=field)
    source = _content(campaign)
    html = mjml.to_html(source) if campaign.content_kind == ContentKind.MJML else page.inlined(source)
    html = page.open_ended(page.whole(html, source), source)
    address = campaign.workspace.postal_address
    in_page = shown.in_page(html + page.END, source, address)
    tags = utm_tags(campaign)
    led = links.marked(html, source, tags)
    html, text = led.html, plain.to_text(led.html, source, led.shown)
    in_text = shown.in_text(text, source, address)
    with translation.override(campaign.workspace.language):
        html_end = page.footer(unsubscribe=not in_page.unsubscribe, address=not in_page.address) + page.END
        text_end = plain.footer(unsubscribe=not in_text.unsubscribe, address=not in_text.address)
    return Content(
        subject=campaign.subject,
        html=_checked(page.with_preheader(html, campaign.preheader, source), html=True),
        html_end=html_end,
        text=_checked(plain.with_tags(text, source), html=False),
        text_end=text_end,
        from_name=campaign.from_name,
        from_email=campaign.from_email,
        reply_to=campaign.reply_to,
        links=led.urls,
        utm=tags,
    )


def utm_tags(campaign: Campaign, *, usual: bool = False) -> dict[str, str]:
    """What web analytics are told in the links' addresses; {} where they are told nothing.

    usual: what they would be told if nobody chose otherwise.
    """
    if not (campaign.utm or usual):
        return {}
    tags = {
        "utm_source": slugify(campaign.workspace.name, allow_unicode=True) or "volley",
        "utm_medium": "email",
        "utm_campaign": slugify(campaign.name, allow_unicode=True),
    }
    return tags if usual else {name: getattr(campaign, name) or value for name, value in tags.items()}


def _content(campaign: Campaign) -> Lifted:
    source = campaign.content
    if len(source.encode(errors="replace")) > SOURCE_LIMIT:
        raise mjml.problem(
            f"The content is larger than {SOURCE_LIMIT // 1000} kB; mail programs would cut it off."
        )
    if source.count("{{") + source.count("{%") > TAG_LIMIT:
        raise mjml.problem(f"The content has more than {TAG_LIMIT:,} merge tags; a loop may say it shorter.")
    return _lift(source, field="content")


def _lift(source: str, *, field: str) -> Lifted:
    liquid.check(source, field=field, html=field != "subject")
    found = Lifted(source)
    if found.misplaced() is not None:
        raise liquid.TemplateProblem(
            "A comment or raw text ends where another begins: write {% comment %} and {% endcomment %} in pairs, "
            "one pair not inside another.",
            field=field,
        )
    return found


def _checked(source: str, *, html: bool) -> str:
    """The finished part, which Liquid reads as it was lifted.

    Raises: TemplateProblem: a condition was torn apart where it begins in one place and ends in another.
    """
    try:
        liquid.parse(source, field="content", html=html)
        if liquid.places(source) == list(lifted.places(source)):
            return source
    except liquid.TemplateProblem as torn:
        raise shown.torn() from torn
    raise shown.torn()
