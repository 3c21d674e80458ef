"""The one way to fetch what a stranger names: closed list of hosts, public addresses, hard bounds (PROMISES H24-H26).

A host is resolved once; every address it has must be public, and the connection goes to the address that was
looked at, so a name that changes its mind between look and call changes nothing. A redirect is a new look.
"""

import base64
import contextlib
import re
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any

from channels import addresses, closed_list
from channels.closed_list import Asked, Place
from domain.errors import Never, NotNow

BYTES = 16 << 20  # PROMISES H26; a provider's MMS is at most 5 MB
TIME = timedelta(seconds=20)  # of one fetch, name to last byte, redirects included
REDIRECTS = 2  # the provider's API sends to its media host, that may send to its store
TRIED = 4  # addresses of one host; more are a name that wants us to wait
CHUNK = 64 << 10
LONGEST_WAIT = timedelta(hours=1)  # of a Retry-After that we believe

_LATER = frozenset({401, 403, 408, 425, 429})  # a login that is being changed, a limit, an early question
_GZIP = b"\x1f\x8b"
_MOVED = frozenset({301, 302, 303, 307, 308})

Resolve = Callable[[str, int], Sequence[str]]
Dial = Callable[[str, int, float], socket.socket]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What came back: the bytes, and what the other side calls them."""

    data: bytes
    declared_type: str
    etag: str = ""
    modified: str = ""  # Last-Modified, as it was said
    charset: str = ""  # of its type, '' where none was said
    is_same: bool = False  # 304: what was fetched before still stands, and `data` is empty

    @property
    def content_type(self) -> str:
        """The type with the character set that was said with it."""
        return f"{self.declared_type}; charset={self.charset}" if self.charset else self.declared_type


def resolve(host: str, port: int) -> Sequence[str]:
    """Every address the system's resolver knows of `host`. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def dial(address: str, port: int, seconds: float) -> socket.socket:
    """A connection to an address, not to a name. Raises OSError."""
    return socket.create_connection((address, port), seconds)


class Egress:
    """Fetches from the places it was built with and from nowhere else. Safe to use from many threads."""

    def __init__(
        self, places: Sequence[Place], *, largest: int = BYTES, lasts: timedelta = TIME,
        resolve: Resolve = resolve, dial: Dial = dial, tls: ssl.SSLContext | None = None, unpacks: bool = False,
    ) -> None:  # fmt: skip
        """`resolve` and `dial` are the network; `tls` checks certificates, else the system's authorities do.

        `unpacks`: gzip is asked for and unpacked, to no more than `largest` bytes.
        """
        self._places, self._largest, self._lasts = tuple(places), largest, lasts.total_seconds()
        self._unpacks = unpacks
        self._resolve, self._dial = resolve, dial
        self._tls = tls or ssl.create_default_context()

    def get(self, url: str, *, etag: str = "", modified: str = "") -> Fetched:
        """The bytes at `url`; with what an earlier answer said of itself, only if they have changed.

        Raises Never(bad_address, bad_host, bad_network, bad_redirect, too_many_redirects, too_large, encoded,
        http_NNN) for what will not get better, NotNow(no_name, no_connection, too_slow, cut, http_NNN) for the rest.
        """
        deadline = time.monotonic() + self._lasts
        asked = closed_list.asked(self._places, url)
        known = {"If-None-Match": etag, "If-Modified-Since": modified}
        for _ in range(REDIRECTS + 1):
            answer = self._once(asked, deadline, {name: said for name, said in known.items() if said})
            if isinstance(answer, Fetched):
                return answer
            asked = closed_list.redirected(self._places, asked, answer)
        raise Never("it goes on and on", code="too_many_redirects")

    def _once(self, asked: Asked, deadline: float, known: Mapping[str, str]) -> Fetched | str:
        """The bytes, or where a redirect leads."""
        with self.connected(asked.place, deadline) as (wire, has_run_out):
            try:
                answer = self._spoken(wire, asked, known)
            except (OSError, HTTPException, ValueError, zlib.error) as error:
                if not has_run_out.is_set():
                    raise NotNow("the answer ended early", code="cut") from error
            if has_run_out.is_set():  # what was cut off may look like an end
                raise NotNow("the time is over", code="too_slow")
            return answer

    @contextlib.contextmanager
    def connected(self, place: Place, deadline: float) -> Iterator[tuple[socket.socket, threading.Event]]:
        """A connection that is cut off at the deadline, whoever trickles; the event says that it was."""
        has_run_out = threading.Event()
        with contextlib.ExitStack() as stack:
            wire = stack.enter_context(self._reached(place, deadline))

            def cut() -> None:
                has_run_out.set()
                with contextlib.suppress(
                    OSError
                ):  # the socket's own method: TLS has a state to be left alone
                    socket.socket.shutdown(wire, socket.SHUT_RDWR)

            watch = threading.Timer(_left(deadline), cut)
            watch.daemon = True
            stack.callback(watch.cancel)
            watch.start()
            if not place.is_of_this_machine:
                name = place.host
                try:
                    secret = self._tls.wrap_socket(wire, server_hostname=name, do_handshake_on_connect=False)
                    wire = stack.enter_context(secret)  # what `cut` shuts from here on
                    secret.do_handshake()
                except (OSError, ValueError) as error:
                    code = "too_slow" if has_run_out.is_set() else "no_connection"
                    raise NotNow("no TLS", code=code) from error
            yield wire, has_run_out

    def _reached(self, place: Place, deadline: float) -> socket.socket:
        found = self._named(place, deadline)
        if not all(_is_allowed(place, address) for address in found):
            raise Never("a host with an address that is not public", code="bad_network")
        for address in found[:TRIED]:
            try:
                wire = self._dial(address, place.port, _left(deadline))
            except OSError:
                continue
            wire.settimeout(_left(deadline))
            return wire
        raise NotNow("no address answers", code="no_connection")

    def _named(self, place: Place, deadline: float) -> Sequence[str]:
        """All addresses of the host; a resolver that hangs is left behind."""
        found: list[Sequence[str]] = []

        def look() -> None:
            with contextlib.suppress(OSError, UnicodeError):
                found.append(self._resolve(place.host.strip("[]"), place.port))

        looking = threading.Thread(target=look, name="resolve", daemon=True)
        looking.start()
        looking.join(_left(deadline))
        if not found or not found[0]:
            raise NotNow("the name has no address now", code="no_name")
        return found[0]

    def _spoken(self, wire: socket.socket, asked: Asked, known: Mapping[str, str]) -> Fetched | str:
        """One GET over an open connection."""
        place = asked.place
        usual = 80 if place.is_of_this_machine else 443
        named = place.host if place.port == usual else f"{place.host}:{place.port}"
        headers = {
            "Host": named,
            "User-Agent": "tocsin",
            "Accept-Encoding": "gzip" if self._unpacks else "identity",
            "Connection": "close",
            **known,
        }
        if place.login:
            headers["Authorization"] = "Basic " + base64.b64encode(":".join(place.login).encode()).decode()
        http = HTTPConnection(place.host)
        http.auto_open = 0  # never another connection than the one that was looked at
        http.sock = wire
        http.request("GET", asked.path, headers=headers)
        with http.getresponse() as answer:
            if answer.status in _MOVED:
                return answer.headers.get("Location", "")
            if answer.status == 304 and known:
                return Fetched(data=b"", declared_type="", is_same=True)
            is_packed = _judge(answer, may_be_packed=self._unpacks)
            declared = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()[:120]
            return Fetched(
                data=self._body(answer, zlib.decompressobj(31) if is_packed else None), declared_type=declared,
                etag=answer.headers.get("ETag", "")[:300], modified=answer.headers.get("Last-Modified", "")[:60],
                charset=(answer.headers.get_content_charset() or "")[:40],
            )  # fmt: skip

    def _body(self, answer: HTTPResponse, packed: Any = None) -> bytes:
        if answer.length is not None and answer.length > self._largest:
            raise Never("it says that it is too large", code="too_large")
        data = bytearray()
        while chunk := answer.read1(CHUNK):
            while chunk:
                if packed and packed.eof:
                    if not _GZIP.startswith(chunk[:2]):
                        break  # what fills up the end
                    packed = zlib.decompressobj(31)  # RFC 1952 §2.2: members one behind the other
                data += packed.decompress(chunk, self._largest + 1 - len(data)) if packed else chunk
                if len(data) > self._largest:
                    raise Never("it does not end", code="too_large")
                chunk = packed.unused_data if packed and packed.eof else b""
        if answer.length or (packed and not packed.eof):  # bytes that were announced and never came
            raise HTTPException
        return bytes(data)


def _is_allowed(place: Place, address: str) -> bool:
    """Whether a host of this place may have this address."""
    if place.is_of_this_machine:
        return addresses.is_of_this_machine(address)
    return addresses.is_public(address) or addresses.is_inside(address, place.inside)


def _judge(answer: HTTPResponse, *, may_be_packed: bool) -> bool:
    """Return for a 200: whether its bytes are packed. Raises Never or NotNow."""
    code = f"http_{answer.status}"
    if answer.status in _LATER or answer.status >= 500:
        raise NotNow("it has nothing now", code=code, retry_after=_wait(answer.headers.get("Retry-After")))
    if answer.status != 200:
        raise Never("it has nothing", code=code)
    form = (answer.headers.get("Content-Encoding") or "identity").strip().lower()
    if form == "identity":
        return False
    if form not in ("gzip", "x-gzip") or not may_be_packed:
        raise Never("packed bytes are not unpacked", code="encoded")
    return True


def _wait(said: str | None) -> timedelta | None:
    is_seconds = said is not None and re.fullmatch(r"[0-9]{1,6}", said)
    return min(timedelta(seconds=int(said or 0)), LONGEST_WAIT) if is_seconds else None


def _left(deadline: float) -> float:
    """Seconds until the deadline; a little more than none, since zero would mean not to wait at all."""
    return max(0.001, deadline - time.monotonic())
