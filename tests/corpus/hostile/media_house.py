"""A media host with real TLS on this machine, and a network whose names and routes a test writes down."""

import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from channels.egress import Egress
from channels.twilio_media import places

ACCOUNT, TOKEN = "AC" + "0a" * 16, "s3cret-of-the-tests"
API, CDN = "api.twilio.com", "mms.twiliocdn.com"
SHOWN = f"/2010-04-01/Accounts/{ACCOUNT}/Messages/MM{1:032x}/Media/ME{1:032x}"
URL = f"https://{API}{SHOWN}"
HERE = "93.184.216.34"  # a public address; the test network routes it to this machine

Say = Callable[[socket.socket], None]


def certificate(folder: Path, *names: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """(of a server with these names, of a client that trusts it alone)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, secret = folder / f"{names[0]}.pem", folder / f"{names[0]}.key"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem, secret)
    return server, ssl.create_default_context(cafile=str(pem))


def reply(body: bytes = b"", *, status: str = "200 OK", **headers: str) -> Say:
    """An answer with its true length."""
    lines = {"Content-Length": str(len(body)), "Content-Type": "image/png"}
    lines |= {name.replace("_", "-").title(): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
    return lambda wire: wire.sendall(f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body)


def moved(to: str, status: str = "307 Temporary Redirect") -> Say:
    return reply(status=status, location=to)


class MediaHouse:
    """`says[host, path]` answers; `heard` lists (host, SNI, path, head) of every request."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.says: dict[tuple[str, str], Say] = {}
        self.heard: list[tuple[str, str, str, str]] = []
        self._server, self.trust = certificate(folder, *(names or (API, CDN)))
        self._sni = ""
        self._server.sni_callback = lambda _wire, name, _context: setattr(self, "_sni", name or "")
        self._open = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._open.getsockname()[1]
        self.is_leaving = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                plain, _ = self._open.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError), self._server.wrap_socket(plain, server_side=True) as wire:
            head = b""
            while b"\r\n\r\n" not in head:
                got = wire.recv(4096)
                if not got:
                    return
                head += got
            text = head.decode("latin-1")
            path = text.split(" ")[1]
            found = re.search(r"^Host: (.*?)\r$", text, re.MULTILINE)
            host = found[1] if found else ""
            self.heard.append((host, self._sni, path, text))
            self.says.get((host, path), reply(status="404 Not Found"))(wire)

    def close(self) -> None:
        self.is_leaving.set()
        self._open.close()


class Network:
    """Names and routes: each look at a name gives its next answer, the last one for ever."""

    def __init__(self, house: MediaHouse, **names: Sequence[Sequence[str]]) -> None:
        self._house = house
        self.names: dict[str, list[Sequence[str]]] = {API: [[HERE]], CDN: [[HERE]]}
        self.looks: list[str] = []
        self.dialled: list[str] = []

    def resolve(self, host: str, _port: int) -> Sequence[str]:
        self.looks.append(host)
        answers = self.names.get(host)
        if not answers:
            raise OSError("no such name")
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def dial(self, address: str, _port: int, seconds: float) -> socket.socket:
        self.dialled.append(address)
        if address != HERE:
            raise OSError("no route")
        return socket.create_connection(("127.0.0.1", self._house.port), seconds)

    def egress(self, *, lasts: float = 5, largest: int = 16 << 20) -> Egress:
        """As the hub builds it for the provider, but for the network below."""
        return Egress(
            places("https://" + API, account_sid=ACCOUNT, auth_token=TOKEN, hosts=[CDN], is_simulator=False),
            lasts=timedelta(seconds=lasts), largest=largest, resolve=self.resolve, dial=self.dial,
            tls=self._house.trust,
        )  # fmt: skip


@contextlib.contextmanager
def media_house(folder: Path) -> Iterator[tuple[MediaHouse, Network]]:
    house = MediaHouse(folder)
    try:
        yield house, Network(house)
    finally:
        house.close()
