"""Requests as bytes on a socket, and the answer in parts: for what no client library would send."""

import contextlib
import re
import socket
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Said:
    """An answer; status 0: the connection was closed without one."""

    status: int
    head: dict[str, str]
    body: bytes

    @property
    def words(self) -> bytes:
        """The body without the reference, which is another one each time."""
        return re.sub(rb"req_[0-9A-Z]{26}", b"req_", self.body)


def say(port: int, data: bytes) -> Said:
    """Send `data` as it is, read the answer until the connection ends."""
    with socket.create_connection(("127.0.0.1", port), 20) as s:
        raw = b""
        with contextlib.suppress(OSError):  # the server has hung up: its answer is still to be read
            s.sendall(data)
        with contextlib.suppress(OSError):
            while chunk := s.recv(65536):
                raw += chunk
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    if not lines[0].startswith("HTTP/"):
        return Said(status=0, head={}, body=b"")
    pairs = (line.partition(":") for line in lines[1:])
    return Said(status=int(lines[0].split()[1]), head={n.lower(): v.strip() for n, _, v in pairs}, body=body)


def get(port: int, target: str, *lines: str, host: str = "127.0.0.1", method: str = "GET") -> Said:
    """A request that ends its connection."""
    sent = [f"{method} {target} HTTP/1.1", f"Host: {host}", *lines, "Connection: close", "", ""]
    return say(port, "\r\n".join(sent).encode("utf-8", "surrogateescape"))
