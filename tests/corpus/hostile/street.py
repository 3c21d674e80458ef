"""Raw bytes over real sockets, to the server that the product starts."""

import re
import socket
import time
from collections.abc import Iterable

SECONDS = 10


def head(path: str, *lines: str, method: str = "POST") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *lines, "", ""]).encode("latin-1")


def say(port: int, data: bytes, more: Iterable[bytes] = ()) -> bytes:
    """Send `data`, then `more` until the other side has had enough; everything that comes back."""
    with socket.create_connection(("127.0.0.1", port), SECONDS) as s:
        try:
            s.sendall(data)
            for chunk in more:
                s.sendall(chunk)
        except OSError:
            pass  # hung up: the answer is still to be read
        return hear(s)


def hear(s: socket.socket) -> bytes:
    """What comes until the end, or until an answer is whole and nothing follows for a moment."""
    said, end = b"", time.monotonic() + SECONDS
    try:
        while time.monotonic() < end:
            s.settimeout(0.3 if answers(said) else SECONDS)
            chunk = s.recv(1 << 16)
            if not chunk:
                break
            said += chunk
    except OSError:
        pass
    return said


def answers(said: bytes) -> list[int]:
    """The status of every answer in `said`."""
    return [int(code) for code in re.findall(rb"HTTP/1\.1 ([0-9]{3})", said)]
