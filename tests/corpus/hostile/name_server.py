"""A small name server over UDP and TCP on 127.0.0.1, with the ways in which real ones fail."""

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

SILENT, BROKEN, CUT, GARBAGE, OTHER = (
    "silent",
    "servfail",
    "cut over udp",
    "garbage",
    "answers something else",
)


@dataclass
class NameServer:
    """`records`: "TYPE name" -> texts as in a zone file, or one of the ways above; what is missing is NXDOMAIN."""

    records: Mapping[str, list[str] | str]
    asked: list[str] = field(default_factory=list)
    port: int = 0

    def reply(self, wire: bytes, *, is_tcp: bool) -> bytes | None:
        query = dns.message.from_wire(wire)
        (question,) = query.question
        kind = question.to_text().split()[-1]
        name = f"{kind} {str(question.name).rstrip('.').lower()}"
        self.asked.append(f"{'tcp' if is_tcp else 'udp'} {name}")
        there = self.records.get(name)
        answer = dns.message.make_response(query)
        if there == SILENT:
            return None
        if there == GARBAGE:
            return b"\xff" * 40
        if there == BROKEN:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif there == CUT and not is_tcp:
            answer.flags |= dns.flags.TC
        elif there == CUT:
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", "TXT", '"whole"'))
        elif there == OTHER:
            answer.answer.append(dns.rrset.from_text("evil.example.", 60, "IN", "TXT", '"v=spf1 +all"'))
        elif there is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif there:
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *there))
        return answer.to_wire()


@contextmanager
def name_server(records: Mapping[str, list[str] | str]) -> Iterator[NameServer]:
    """Serving until the end; both sockets at one port."""
    tcp = socket.create_server(("127.0.0.1", 0))
    port = tcp.getsockname()[1]
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", port))
    server = NameServer(records=records, port=port)
    leaving = threading.Event()

    def serve_udp() -> None:
        while not leaving.is_set():
            wire, peer = udp.recvfrom(4096)
            if wire and (reply := server.reply(wire, is_tcp=False)) is not None:
                udp.sendto(reply, peer)

    def serve_tcp() -> None:
        while not leaving.is_set():
            line, _ = tcp.accept()
            with line, line.makefile("rb") as file:
                size = int.from_bytes(file.read(2), "big")
                if size and (reply := server.reply(file.read(size), is_tcp=True)) is not None:
                    line.sendall(len(reply).to_bytes(2, "big") + reply)

    works: tuple[Callable[[], None], ...] = (serve_udp, serve_tcp)
    threads = [threading.Thread(target=work, daemon=True) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield server
    finally:
        leaving.set()
        udp.sendto(b"", ("127.0.0.1", port))
        socket.create_connection(("127.0.0.1", port)).close()
        for thread in threads:
            thread.join(5)
        udp.close()
        tcp.close()
