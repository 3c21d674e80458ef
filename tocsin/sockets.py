"""Listening sockets: bound before anything starts, or handed over by whoever keeps them open."""

import os
import socket
from collections.abc import MutableMapping

from domain.errors import Unavailable

FIRST_FD = 3  # sd_listen_fds(3): SD_LISTEN_FDS_START


def listen(host: str, port: int, setting: str = "TOCSIN_PORT") -> socket.socket:
    """A bound socket; port 0 takes a free one. Raises Unavailable with the port and its setting when it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise Unavailable(
            f"port {port} of {host} cannot be had ({error.strerror}): choose another with {setting}",
            code="port_taken",
        ) from error
    bound.set_inheritable(False)
    return bound


def inherited(environment: MutableMapping[str, str] = os.environ) -> socket.socket | None:
    """The socket that systemd or `tocsin keep` holds open for this process, None without one.

    It is taken once: the children of this process must not believe that it is theirs.
    """
    count, pid = environment.pop("LISTEN_FDS", ""), environment.pop("LISTEN_PID", "")
    if not count.isdigit() or int(count) < 1 or pid not in ("", str(os.getpid())):
        return None
    bound = socket.socket(fileno=FIRST_FD)
    bound.set_inheritable(False)
    return bound


def tell(state: str, environment: MutableMapping[str, str] = os.environ) -> None:
    """Say READY=1, WATCHDOG=1 or STOPPING=1 to who started us (sd_notify(3)); to nobody when nobody asked.

    Never blocks: a supervisor that does not read has nine words waiting already (net.unix.max_dgram_qlen).
    """
    address = environment.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
        line.setblocking(False)
        try:
            line.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
        except OSError:
            return  # nobody listens any more: no reason not to work


def port_of(bound: socket.socket) -> int:
    """The port of a bound socket."""
    return int(bound.getsockname()[1])


def free_port(host: str) -> int:
    """A port that is free now, for a part that binds by itself."""
    with listen(host, 0) as probe:
        return port_of(probe)
