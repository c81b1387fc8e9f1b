"""The ways out that an account may take, and what each has to know: forms and transports follow it.

An ESP's fields are named as its anymail backend names them, so that they are its keyword arguments.
"""

from dataclasses import dataclass
from typing import Any, Literal

from django.conf import settings

Kind = Literal["text", "host", "port", "url", "choice", "boolean", "return_path"]
Choices = tuple[tuple[str, str], ...]
# How an API takes many messages in one call: the body once with each recipient's values for its own placeholders
# ("slots"), finished messages next to each other ("combined"), or not at all ("single").
Mode = Literal["slots", "combined", "single"]
MEGABYTE = 10**6
ONE_CLICK = {
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
}  # RFC 8058 §3.1: both, or mail programs show no button


@dataclass(frozen=True)
class Field:
    """One thing to type. guards: the secrets go there, so a change asks for them again."""

    name: str
    label: str
    help: str = ""
    secret: bool = False
    required: bool = True
    kind: Kind = "text"
    choices: Choices = ()
    initial: Any = ""
    guards: bool = False


@dataclass(frozen=True)
class Provider:
    """tracking_per_message and metadata: what its API takes with each message.

    most: recipients of one call; call_bytes and slot_bytes: of one call, and of one recipient's values in it.
    calls_per_minute: documented, 0: none. repeat_seconds: how long it knows a call again by its key, 0: never.
    """

    name: str
    label: str
    about: str
    fields: tuple[Field, ...] = ()
    icon: str = "cloud"
    is_esp: bool = True
    tracking_per_message: bool = True
    metadata: bool = True
    mode: Mode = "single"
    most: int = 1
    call_bytes: int = 20 * MEGABYTE
    slot_bytes: int = MEGABYTE
    calls_per_minute: int = 0
    repeat_seconds: int = 0
    refused_headers: frozenset[str] = frozenset()  # of ours, beside those that no ESP takes

    def one_click(self, values: dict[str, Any]) -> bool:
        """Whether both headers of RFC 8058 leave with its messages. values: the account's settings."""
        return not self.refused_headers & ONE_CLICK and bool(values.get("own_headers", True))

    @property
    def advice(self) -> str:
        """What has to be set in the provider's own pages, since its API cannot."""
        if not self.is_esp or self.tracking_per_message:
            return ""
        return (
            f"Switch off open and click tracking in {self.label} itself: "
            "it cannot be switched off with each message."
        )

    @property
    def manner(self) -> str:
        """How many messages travel in one call; "" for a mail server."""
        if not self.is_esp:
            return ""
        return {
            "slots": f"Up to {self.most:,} recipients a call: the message once, beside it what differs for each.",
            "combined": f"Up to {self.most:,} finished messages a call.",
            "single": "One message a call.",
        }[self.mode]

    @property
    def unanswered(self) -> str:
        """What becomes of a call that no answer comes to; "" for a mail server."""
        if not self.is_esp:
            return ""
        if self.repeat_seconds:
            return "A call without a clear answer is repeated under the same key, which sends nothing twice."
        return (
            "Where no clear answer comes, its recipients are in doubt until something comes back of them, "
            "or you decide, or the workspace's rule does."
        )

    def summary(self, values: dict[str, Any]) -> str:
        """Where an account's mail goes, in one line: what is set and no secret."""
        if self is SMTP:
            return _server(values)
        shown = [_shown(field, values.get(field.name)) for field in self.fields if not field.secret]
        return ", ".join(each for each in shown if each)


def _server(values: dict[str, Any]) -> str:
    """As its address is written: smtp.example.com:587, STARTTLS."""
    host, security = str(values.get("host", "")), str(values.get("security", ""))
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    named = {"starttls": "STARTTLS", "tls": "TLS", "none": "no encryption"}.get(security, security)
    parts = [f"{host}:{values.get('port', '')}", named, str(values.get("user") or "")]
    return ", ".join(part for part in parts if part)


def _shown(field: Field, value: Any) -> str:
    if value in (None, "", False):
        return ""
    if field.kind == "boolean":
        return field.label
    return dict(field.choices).get(str(value), str(value))


def _key(name: str, label: str, where: str) -> Field:
    return Field(name, label, where, secret=True)


def _data_centre(*choices: tuple[str, str]) -> Field:
    return Field("api_url", "Data centre", kind="choice", choices=choices, initial=choices[0][0])


INBOX = Provider(
    "inbox",
    "Local inbox",
    "Keeps every message on this machine, to be read under “Local inbox”. Nothing reaches the outside.",
    icon="inbox",
    is_esp=False,
)
SMTP = Provider(
    "smtp",
    "SMTP server",
    "Any mail server: your own, your company's, or a provider's SMTP relay.",
    (
        Field("host", "Host", "Such as smtp.example.com.", kind="host", guards=True),
        Field(
            "security",
            "Security",
            "What the port expects: STARTTLS on 587, TLS on 465; none only within your own network.",
            kind="choice",
            choices=(("starttls", "STARTTLS"), ("tls", "TLS"), ("none", "None")),
            initial="starttls",
            guards=True,
        ),
        Field("port", "Port", kind="port", initial=587, guards=True),
        Field("user", "User name", "Empty: no sign-in.", required=False),
        Field("password", "Password", secret=True, required=False),
        Field(
            "return_path",
            "Return path",
            "Where bounces go: a domain whose mail reaches Volley, such as bounces.example.com, or a mailbox that takes "
            "plus addresses, such as bounces@example.com. Every message then bears an address of its own, by which its "
            "bounce is known. Empty: bounces go to the campaign's sender.",
            kind="return_path",
            required=False,
        ),
    ),
    icon="server",
    is_esp=False,
)
_ESPS = (
    Provider(
        "amazon_ses",
        "Amazon SES",
        "Amazon's mail service; the region decides where your domain is verified.",
        (
            Field("region", "Region", "Such as eu-central-1: the one in which your domain is verified."),
            Field(
                "access_key_id",
                "Access key ID",
                "IAM › Users › Security credentials, with ses:SendEmail, ses:SendRawEmail and ses:SendBulkEmail; "
                "ses:GetAccount lets the pace keep to your quota.",
            ),
            _key("secret_access_key", "Secret access key", "Shown once, when the access key is made."),
            Field("configuration_set_name", "Configuration set", "If your sending uses one.", required=False),
        ),
        tracking_per_message=False,
        mode="slots",
        most=50,
        call_bytes=900_000,
    ),
    Provider(
        "brevo",
        "Brevo",
        "Formerly Sendinblue.",
        (_key("api_key", "API key", "SMTP & API › API keys. It begins with “xkeysib-”."),),
        tracking_per_message=False,
        mode="combined",
        most=1000,
        calls_per_minute=100,
        repeat_seconds=15 * 60,
    ),
    Provider(
        "mailersend",
        "MailerSend",
        "Takes headers of our own, the unsubscribe button's among them, on Enterprise plans only.",
        (
            _key("api_token", "API token", "Integrations › API tokens, with full access to Email."),
            Field(
                "own_headers",
                "The plan allows custom headers (Enterprise)",
                "Without them Gmail and Yahoo show no unsubscribe button; the link in the message works.",
                required=False,
                kind="boolean",
                initial=False,
            ),
        ),
        metadata=False,
        mode="combined",
        most=500,
        calls_per_minute=10,
    ),
    Provider(
        "mailgun",
        "Mailgun",
        "Sends from a domain that you verify there.",
        (
            _key("api_key", "API key", "Sending › Domain settings › Sending keys."),
            Field(
                "sender_domain",
                "Sending domain",
                "As in Mailgun. Empty: the domain of the From address.",
                required=False,
            ),
            _data_centre(("https://api.mailgun.net/v3/", "US"), ("https://api.eu.mailgun.net/v3/", "EU")),
        ),
        mode="slots",
        most=1000,
    ),
    Provider(
        "mailjet",
        "Mailjet",
        "Needs both of its keys.",
        (
            Field("api_key", "API key", "Account settings › API key management."),
            _key("secret_key", "Secret key", "In the same place; shown once."),
        ),
        mode="combined",
        most=50,
        call_bytes=15 * MEGABYTE,
        refused_headers=frozenset({"List-Id"}),
    ),
    Provider(
        "mailtrap",
        "Mailtrap",
        "Sends, or catches everything in a sandbox.",
        (
            _key("api_token", "API token", "Settings › API tokens, with access to the sending domain."),
            Field(
                "sandbox_id",
                "Sandbox ID",
                "Only to catch mail in a sandbox: the number in its address.",
                required=False,
            ),
        ),
        tracking_per_message=False,
        mode="combined",
        most=500,
        call_bytes=45 * MEGABYTE,
    ),
    Provider(
        "mandrill",
        "Mandrill",
        "Mailchimp's transactional mail.",
        (_key("api_key", "API key", "Settings › SMTP & API info › API keys. Not Mailchimp's own key."),),
    ),
    Provider(
        "postal",
        "Postal",
        "An open mail server that you run yourself.",
        (
            Field(
                "api_url",
                "Address of its API",
                "Such as https://postal.example.com.",
                kind="url",
                guards=True,
            ),
            _key("api_key", "API key", "Your mail server › Credentials, of the type API."),
        ),
        tracking_per_message=False,
        metadata=False,
    ),
    Provider(
        "postmark",
        "Postmark",
        "Campaigns go through a broadcast stream there.",
        (
            _key("server_token", "Server API token", "Servers › your server › API tokens."),
            Field("message_stream", "Message stream", "The ID of a broadcast stream.", initial="broadcast"),
        ),
        mode="combined",
        most=500,
        call_bytes=45 * MEGABYTE,
    ),
    Provider(
        "resend",
        "Resend",
        "Sends from a domain that you verify there.",
        (_key("api_key", "API key", "API keys, with sending access. It begins with “re_”."),),
        tracking_per_message=False,
        mode="combined",
        most=100,
        calls_per_minute=300,
        repeat_seconds=23 * 3600,
    ),
    Provider(
        "scaleway",
        "Scaleway TEM",
        "Transactional mail of the French cloud provider.",
        (
            _key("secret_key", "Secret key", "IAM › API keys, with permission for Transactional Email."),
            Field("project_id", "Project ID", "Project settings."),
            Field(
                "region", "Region", kind="choice", choices=(("fr-par", "Paris (fr-par)"),), initial="fr-par"
            ),
        ),
        tracking_per_message=False,
    ),
    Provider(
        "sendgrid",
        "SendGrid",
        "Twilio's mail service.",
        (
            _key(
                "api_key", "API key", "Settings › API keys, with permission Mail Send. It begins with “SG.”."
            ),
            _data_centre(
                ("https://api.sendgrid.com/v3/", "Global"), ("https://api.eu.sendgrid.com/v3/", "EU")
            ),
        ),
        mode="slots",
        most=1000,
        slot_bytes=9_500,
    ),
    Provider(
        "sparkpost",
        "SparkPost",
        "Now Bird's mail service.",
        (
            _key("api_key", "API key", "Configuration › API keys, with Transmissions: Read/Write."),
            Field("subaccount", "Subaccount", "Its number, if you send as one.", required=False),
            _data_centre(
                ("https://api.sparkpost.com/api/v1/", "US"), ("https://api.eu.sparkpost.com/api/v1/", "EU")
            ),
        ),
        mode="slots",
        most=1000,
        call_bytes=45 * MEGABYTE,
    ),
    Provider(
        "unisender_go",
        "Unisender Go",
        "Takes the unsubscribe link into its header, but not the header that lets mail programs unsubscribe at once.",
        (
            _key("api_key", "API key", "Settings › Security."),
            _data_centre(
                ("https://go1.unisender.ru/ru/transactional/api/v1/", "go1"),
                ("https://go2.unisender.ru/ru/transactional/api/v1/", "go2"),
            ),
        ),
        mode="slots",
        most=500,
        call_bytes=9 * MEGABYTE,
        # Its API drops them: beside List-Unsubscribe it takes those alone that begin with X-.
        refused_headers=frozenset({"List-Id", "Feedback-ID", "List-Unsubscribe-Post"}),
    ),
)
PROVIDERS: dict[str, Provider] = {each.name: each for each in (INBOX, SMTP, *_ESPS)}


def offered() -> list[Provider]:
    """Those to choose from here: the local inbox only where it runs."""
    return [each for each in PROVIDERS.values() if settings.INBOX or each is not INBOX]


def find(name: str) -> Provider | None:
    """An offered one by its name."""
    return next((each for each in offered() if each.name == name), None)
