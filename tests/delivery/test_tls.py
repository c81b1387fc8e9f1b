"""Messages over TLS and behind a sign-in arrive whole, as over a bare connection."""

import datetime
import ssl

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from delivery.transports import smtp
from delivery.transports.base import CannotConnect, Fate, Message
from tests.delivery.servers import a_free_port

# Of the server that is TLS from its first octet on, which aiosmtpd does not see.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
PIECES = [b"Subject: Hello\r\n\r\n", *(b"line %d of many\r\n" % n for n in range(2000))]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for localhost and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


class Kept:
    def __init__(self) -> None:
        self.octets: list[bytes] = []

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802
        self.octets.append(envelope.original_content)
        return "250 2.0.0 Kept"


@pytest.fixture(params=["starttls", "tls"])
def secured(request, certificate, monkeypatch):
    """(security, port, what it kept) of a server that wants TLS and a sign-in, and whose certificate is trusted."""
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))  # what this machine trusts
    kept, port = Kept(), a_free_port()

    def check(_server, _session, _envelope, _mechanism, data):
        return AuthResult(success=(data.login, data.password) == (b"me", b"secret"), handled=False)

    wants = {"auth_required": True, "authenticator": check, "hostname": "localhost"}
    if request.param == "starttls":
        wants |= {"tls_context": server_side, "require_starttls": True}
    else:
        wants |= {"auth_require_tls": False}

    class Server(Controller):
        def factory(self):
            return SMTP(kept, **wants)

    context = server_side if request.param == "tls" else None
    server = Server(kept, hostname="localhost", port=port, ssl_context=context)
    server.start()
    yield request.param, port, kept
    server.stop()


def test_messages_arrive_whole(secured):
    security, port, kept = secured
    connection = smtp.connect(host="localhost", port=port, security=security, user="me", password="secret")
    messages = [
        Message("a@example.com", f"p{n}@example.com", [*PIECES, b"no. %d\r\n" % n], has_no_dots=True)
        for n in range(3)
    ]
    for message, upcoming in zip(messages, [*messages[1:], None], strict=True):
        assert connection.send(message, upcoming).fate is Fate.ACCEPTED
    connection.close()
    assert kept.octets == [message.data for message in messages]


def test_a_wrong_password_stops_the_account(secured):
    security, port, _kept = secured
    with pytest.raises(CannotConnect) as refused:
        smtp.connect(host="localhost", port=port, security=security, user="me", password="wrong")
    assert refused.value.outcome.fate is Fate.ACCOUNT_STOPPED


def test_a_certificate_that_nobody_trusts_is_refused_in_words(secured, monkeypatch):
    security, port, _kept = secured
    monkeypatch.undo()
    with pytest.raises(CannotConnect, match="certificate"):
        smtp.connect(host="localhost", port=port, security=security, user="me", password="secret")
