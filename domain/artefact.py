"""The exact bytes of one channel, language and area of a release, and the digest over all of them."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from domain.errors import BadInput


class Purpose(StrEnum):
    """Why the bytes exist; the two endings are frozen and approved together with the warning."""

    MAIN = "main"
    CORRECTION = "correction"  # 误发更正
    LIFT = "lift"  # 解除


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """Frozen bytes. `sha256` is taken of `body` once and re-checked before each provider call."""

    channel: str
    language: str  # zh-CN | en | mul (one file in all languages)
    area_variant: str = ""
    purpose: Purpose = Purpose.MAIN
    media_type: str
    body: bytes
    id: str = ""

    @property
    def sha256(self) -> str:
        """Hex digest of the bytes."""
        return hashlib.sha256(self.body).hexdigest()

    @property
    def line(self) -> str:
        """Its line in the digest; an ending's channel carries its purpose: ``sms+correction``."""
        return line_of(self.channel, self.language, self.area_variant, self.purpose, self.sha256)


def line_of(channel: str, language: str, area_variant: str, purpose: Purpose, sha256: str) -> str:
    """The line of an artefact whose bytes are elsewhere."""
    named = channel if purpose is Purpose.MAIN else f"{channel}+{purpose}"
    return f"{named}\0{language}\0{area_variant}\0{sha256}\n"


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def canonical_json(value: Any) -> bytes:
    """RFC 8785 for what a manifest holds: objects with ASCII keys, arrays, strings, integers, true, null.

    Raises BadInput for floats (their printed form is where implementations differ) and other types.
    """
    _check(value)
    return _ENCODER.encode(value).encode()


def _check(value: Any) -> None:
    if value is None or isinstance(value, str | int):  # most of what there is; True and False are integers
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise BadInput("a manifest key is ASCII text")
            _check(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _check(item)
    else:
        raise BadInput(f"a manifest cannot hold {type(value).__name__}")


def digest(artefacts: Iterable[Artefact], manifest: Mapping[str, Any]) -> str:
    """SHA-256 hex over the sorted lines of all artefacts, then the manifest as canonical JSON."""
    return digest_of((a.line for a in artefacts), canonical_json(manifest))


def digest_of(lines: Iterable[str], manifest: bytes) -> str:
    """The digest from the lines of the artefacts and the bytes of the manifest."""
    return hashlib.sha256("".join(sorted(lines)).encode() + manifest).hexdigest()
