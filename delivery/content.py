"""What a message is compiled from: handed over by whoever launches a mailing, frozen in `Mailing.content`."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Content:
    """subject, html and text hold Liquid merge tags; the addresses do not."""

    subject: str
    html: str
    text: str
    from_name: str
    from_email: str
    reply_to: str = ""

    def as_dict(self) -> dict[str, str]:
        return asdict(self)
