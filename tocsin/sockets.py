"""Listening sockets, bound before anything starts, so that every part knows its neighbours' ports."""

import socket

from domain.errors import Unavailable


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; port 0 takes a free one. Raises Unavailable with the port when it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise Unavailable(
            f"port {port} of {host} is taken: choose another with --port", code="port_taken"
        ) from error
    bound.set_inheritable(False)
    return bound


def port_of(bound: socket.socket) -> int:
    """The port of a bound socket."""
    return int(bound.getsockname()[1])


def free_port(host: str) -> int:
    """A port that is free now, for a part that binds by itself."""
    with listen(host, 0) as probe:
        return port_of(probe)
