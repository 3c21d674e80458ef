"""Parsers that do what a parser must not, for the tests of the sandbox."""

import ctypes
import os
import resource
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any

from domain.errors import BadInput, Flaw

Answer = tuple[dict[str, Any], list[bytes]]


def echo(data: bytes, options: Mapping[str, Any]) -> Answer:
    print("a parser that talks")
    return {"size": len(data), "options": dict(options), "pid": os.getpid()}, [data]


def twice(data: bytes, _options: Mapping[str, Any]) -> Answer:
    time.sleep(0.05)
    return {"pid": os.getpid()}, [data * 2]


def refuse(_data: bytes, _options: Mapping[str, Any]) -> Answer:
    raise BadInput("it is not a mail", code="not_a_mail", flaws=[Flaw("/a", "b")])


def loop(_data: bytes, _options: Mapping[str, Any]) -> Answer:
    while True:
        pass


def sleep(_data: bytes, _options: Mapping[str, Any]) -> Answer:
    time.sleep(600)
    return {}, []


def eat_memory(_data: bytes, _options: Mapping[str, Any]) -> Answer:
    hoard = []
    while True:
        hoard.append(bytearray(16 << 20))


def crash(_data: bytes, _options: Mapping[str, Any]) -> Answer:
    ctypes.string_at(0)
    return {}, []


def leave(_data: bytes, _options: Mapping[str, Any]) -> Answer:
    os._exit(0)


def stumble(data: bytes, _options: Mapping[str, Any]) -> Answer:
    raise LookupError(data.decode())


def recurse(data: bytes, options: Mapping[str, Any]) -> Answer:
    return recurse(data, options)


def open_socket(_data: bytes, options: Mapping[str, Any]) -> Answer:
    with socket.socket() as s:
        s.connect(("127.0.0.1", int(options["port"])))
    return {}, []


def open_socket_below_python(_data: bytes, options: Mapping[str, Any]) -> Answer:
    """connect(2) through libc, past everything that Python can refuse; answers 0 or the errno."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.socket(2, 1, 0)
    address = b"\x02\x00" + int(options["port"]).to_bytes(2, "big") + bytes([127, 0, 0, 1]) + bytes(8)
    return {"connect": libc.connect(descriptor, address, len(address)), "errno": ctypes.get_errno()}, []


def fork(_data: bytes, _options: Mapping[str, Any]) -> Answer:
    return {"pid": os.fork()}, []


def write_file(_data: bytes, options: Mapping[str, Any]) -> Answer:
    with open(options["path"], "wb") as file:
        file.write(b"x" * 100)
    return {}, []


def look_around(_data: bytes, _options: Mapping[str, Any]) -> Answer:
    names = ("RLIMIT_AS", "RLIMIT_NOFILE", "RLIMIT_FSIZE", "RLIMIT_CORE", "RLIMIT_CPU")
    limits = {name: resource.getrlimit(getattr(resource, name))[1] for name in names}
    descriptors = [int(name) for name in os.listdir("/proc/self/fd")]
    return {
        "environment": dict(os.environ),
        "limits": limits,
        "descriptors": len(descriptors) - 1,  # one of them is the directory just read
        "modules": sorted(sys.modules),
        "status": open("/proc/self/status").read(),
    }, []


def flood(_data: bytes, options: Mapping[str, Any]) -> Answer:
    return {}, [bytes(options["size"])] * options["count"]
