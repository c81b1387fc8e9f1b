"""Amazon SNS: its signature, which anymail does not check, and the topics that may speak for an account.

https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
"""

import base64
import json
import re
import threading
import time
from datetime import UTC, datetime
from typing import Any, Final

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from django.http import HttpRequest

SIGNED: Final = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        "Message",
        "MessageId",
        "SubscribeURL",
        "Timestamp",
        "Token",
        "TopicArn",
        "Type",
    ),
    "UnsubscribeConfirmation": (
        "Message",
        "MessageId",
        "SubscribeURL",
        "Timestamp",
        "Token",
        "TopicArn",
        "Type",
    ),
}
DIGESTS: Final[dict[str, Any]] = {"1": hashes.SHA1, "2": hashes.SHA256}
# Nobody but Amazon has certificates there.
_CERTIFICATE: Final = re.compile(
    r"https://sns\.[a-z0-9-]{5,30}\.amazonaws\.com(\.cn)?/SimpleNotificationService-[A-Za-z0-9]{1,64}\.pem",
    re.ASCII,
)
_ARN: Final = re.compile(
    r"arn:(aws|aws-cn|aws-us-gov):sns:([a-z0-9-]{5,30}):\d{12}:[A-Za-z0-9_.-]{1,256}", re.ASCII
)
_TOKEN: Final = re.compile(r"[A-Za-z0-9]{1,1024}", re.ASCII)
FETCH_SECONDS: Final = 5.0
CERTIFICATE_BYTES: Final = 64 * 1024
CERTIFICATES_KEPT: Final = 20
_certificates: dict[str, x509.Certificate] = {}
_fetching = threading.Lock()


class NotAmazons(ValueError):  # noqa: N818  (as Refused)
    """It is not signed by Amazon, or not as documented."""


def read(request: HttpRequest) -> dict[str, Any]:
    """SNS's own message, whose headers say the same as its body; the signature is not looked at yet."""
    said = json.loads(request.body)
    kind = said["Type"]
    same = kind == request.headers.get("x-amz-sns-message-type") and said["MessageId"] == request.headers.get(
        "x-amz-sns-message-id"
    )
    if not same or kind not in SIGNED or not is_topic(said["TopicArn"]):
        raise NotAmazons
    return said


def is_topic(arn: object) -> bool:
    return isinstance(arn, str) and _ARN.fullmatch(arn) is not None


def signed_at(said: dict[str, Any]) -> float:
    """Unix time."""
    at = datetime.fromisoformat(said["Timestamp"])
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def check(said: dict[str, Any]) -> None:
    """Raises: NotAmazons, or what cryptography and requests raise."""
    url = said["SigningCertURL"]
    if not isinstance(url, str) or not _CERTIFICATE.fullmatch(url):
        raise NotAmazons
    key = _certificate(url).public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise NotAmazons
    digest = DIGESTS[said["SignatureVersion"]]()
    signed = "".join(f"{name}\n{said[name]}\n" for name in SIGNED[said["Type"]] if said.get(name) is not None)
    key.verify(base64.b64decode(said["Signature"]), signed.encode(), padding.PKCS1v15(), digest)


def confirm(topic: str, token: str) -> str:
    """Tell Amazon that the topic may send to us. Returns: "" or what is wrong, in words.

    The address is put together from what was checked; none that somebody sent is visited.
    """
    found = _ARN.fullmatch(topic)
    if not found or not _TOKEN.fullmatch(token):
        return "The topic's name is not one of Amazon's."
    host = f"sns.{found[2]}.amazonaws.com" + (".cn" if found[1] == "aws-cn" else "")
    asked = {"Action": "ConfirmSubscription", "TopicArn": topic, "Token": token, "Version": "2010-03-31"}
    try:
        answer = requests.get(f"https://{host}/", params=asked, timeout=FETCH_SECONDS, allow_redirects=False)
    except requests.RequestException as error:
        return f"Amazon could not be reached: {type(error).__name__}."
    if answer.status_code == requests.codes.ok:
        return ""
    return f"Amazon answered {answer.status_code}. Where that is about the token, request the confirmation again in SNS."


def _certificate(url: str) -> x509.Certificate:
    """Fetched once a process; one at a time, so that a flood makes no flood of ours."""
    with _fetching:
        known = _certificates.get(url)
        if known is None:
            known = x509.load_pem_x509_certificate(fetch(url))
            if len(_certificates) >= CERTIFICATES_KEPT:
                _certificates.clear()
            _certificates[url] = known
    now = datetime.now(UTC)
    if not known.not_valid_before_utc <= now <= known.not_valid_after_utc:
        raise NotAmazons
    return known


def fetch(url: str) -> bytes:
    """The certificate in PEM, within seconds. Raises: requests.RequestException, NotAmazons."""
    until = time.monotonic() + FETCH_SECONDS
    with requests.get(url, timeout=FETCH_SECONDS, allow_redirects=False, stream=True) as answer:
        answer.raise_for_status()
        if answer.status_code != requests.codes.ok:
            raise NotAmazons
        body = b""
        for piece in answer.iter_content(8192):
            body += piece
            if len(body) > CERTIFICATE_BYTES or time.monotonic() > until:
                raise NotAmazons
    return body
