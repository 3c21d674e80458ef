"""A network between a browser and the hub that fails when a test says so: gone, busy, or cut before the answer."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass
class Network:
    """What happens to the next POSTs. All counters are of requests that came this way."""

    port: int
    is_down: bool = False
    cuts: int = 0  # POSTs whose answer is thrown away when the hub gives it
    busy: int = 0  # POSTs answered 503, Retry-After 2, without the hub
    holds: int = 0  # POSTs that wait for `go`
    posts: list[float] = field(default_factory=list)
    was_cut: threading.Event = field(default_factory=threading.Event)
    is_held: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)


@contextmanager
def network(hub_port: int) -> Iterator[Network]:
    """A port that leads to the hub's."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        made = Network(port=server.getsockname()[1])

        def accept() -> None:
            with suppress(OSError):
                while True:
                    wire, _ = server.accept()
                    threading.Thread(target=_one, args=(made, wire, hub_port), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield made
        finally:
            made.go.set()
            server.shutdown(socket.SHUT_RDWR)


def _one(made: Network, wire: socket.socket, hub_port: int) -> None:
    """One request, then the connection closes: each is judged by itself."""
    with wire, suppress(OSError, ValueError):
        if made.is_down:
            return
        head = _until(wire, b"\r\n\r\n")
        is_post = head.startswith(b"POST")
        if is_post:
            made.posts.append(threading.get_ident())
        if is_post and made.busy:
            made.busy -= 1
            _body(wire, head)
            wire.sendall(BUSY)
            return
        if is_post and made.holds:
            made.holds -= 1
            made.is_held.set()
            made.go.wait(20)
        body = _body(wire, head)
        with socket.create_connection(("127.0.0.1", hub_port)) as hub:
            hub.sendall(
                head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1).replace(
                    b"Connection: keep-alive\r\n", b""
                )
                + body
            )
            answer = bytearray()
            while piece := hub.recv(65536):
                answer += piece
        if is_post and made.cuts:
            made.cuts -= 1
            made.was_cut.set()
            return
        wire.sendall(answer)


def _until(wire: socket.socket, end: bytes) -> bytes:
    data = bytearray()
    while not data.endswith(end):
        piece = wire.recv(1)
        if not piece:
            raise ValueError
        data += piece
    return bytes(data)


def _body(wire: socket.socket, head: bytes) -> bytes:
    lines = (line.lower() for line in head.split(b"\r\n"))
    length = next((int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:")), 0)
    data = bytearray()
    while len(data) < length:
        piece = wire.recv(min(65536, length - len(data)))
        if not piece:
            raise ValueError
        data += piece
    return bytes(data)
