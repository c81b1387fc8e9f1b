"""What a message is compiled from: handed over by whoever launches a mailing, frozen in `Mailing.content`."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Content:
    """subject, html and text hold Liquid merge tags; the addresses do not.

    html_end and text_end follow html and text: Volley's own footer where the content lacks one, and what closes the
    page. They are Liquid filled in apart, so that nothing in the content can empty them or change what they print.
    """

    subject: str
    html: str
    text: str
    from_name: str
    from_email: str
    reply_to: str = ""
    html_end: str = ""
    text_end: str = ""

    def as_dict(self) -> dict[str, str]:
        return asdict(self)
