"""The deployment's keys: made on the first day, mode 0600, never shared or sampled."""

import hashlib
import hmac
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain.errors import Refused, Unavailable

_BYTES = 32
_OWNER = "owner"  # beside the keys: which hub they are of


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Four separate secrets, so that one use never opens another (PROMISES 7.7)."""

    field: bytes  # wraps the keys of personal data
    journal_head: bytes  # MACs the ends of the journal's streams
    journal_root: Ed25519PrivateKey  # signs the journal's roots
    cursor: bytes  # MACs list cursors

    @property
    def return_path(self) -> bytes:
        """Proves the addresses that mail comes back to; derived, so that older data directories have it."""
        return hmac.new(self.cursor, b"tocsin return path 1", hashlib.sha256).digest()

    @property
    def proof(self) -> bytes:
        """MACs the marks of synthetic reports, and makes the key by which they come to the API."""
        return hmac.new(self.cursor, b"tocsin proof 1", hashlib.sha256).digest()

    @property
    def receipt(self) -> bytes:
        """MACs the secret links of citizens; derived, so that a hub of an earlier version needs no new file."""
        return hmac.new(self.cursor, b"tocsin receipt 1", hashlib.sha256).digest()

    @property
    def downloads(self) -> bytes:
        """MACs the links of the host of files; derived like the others."""
        return hmac.new(self.cursor, b"tocsin downloads 1", hashlib.sha256).digest()

    @property
    def bulletin(self) -> Ed25519PrivateKey:
        """Signs what we publish, for peers that pin its public half; derived like the others."""
        return Ed25519PrivateKey.from_private_bytes(
            hmac.new(self.cursor, b"tocsin bulletin 1", hashlib.sha256).digest()
        )


def load(directory: Path, *, may_make: bool) -> Keys:
    """The keys in `directory`. Raises Unavailable when one is missing, short or readable by others."""
    made = {name: _key(directory / f"{name}.key", may_make=may_make) for name in
            ("field", "journal-head", "journal-root", "cursor")}  # fmt: skip
    if len(set(made.values())) != len(made):
        raise Unavailable("two keys are the same", code="key_repeated")
    return Keys(
        field=made["field"],
        journal_head=made["journal-head"],
        journal_root=Ed25519PrivateKey.from_private_bytes(made["journal-root"]),
        cursor=made["cursor"],
    )


def belong(directory: Path, made: Keys, instance: str) -> None:
    """Write down whose keys these are, unless it is written already."""
    path = directory / _OWNER
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(_owner(made, instance))


def must_belong(directory: Path, made: Keys, instance: str) -> None:
    """Raises Refused when these keys are those of another hub: what one signs, the other could have signed.

    Keys that came back from a backup belong to whom the database is of, until `tocsin migrate` writes it down.
    """
    try:
        written = (directory / _OWNER).read_text()
    except FileNotFoundError:
        return
    if not hmac.compare_digest(written.strip().encode(), _owner(made, instance).encode()):
        raise Refused(
            "these keys belong to another hub: a hub makes its own, with `tocsin init`",
            code="keys_of_another_hub",
        )


def disown(directory: Path) -> None:
    """Forget whose keys these are: their hub is thrown away."""
    (directory / _OWNER).unlink(missing_ok=True)


def _owner(made: Keys, instance: str) -> str:
    return hmac.new(made.cursor, f"tocsin owner 1 {instance}".encode(), hashlib.sha256).hexdigest()


def _key(path: Path, *, may_make: bool) -> bytes:
    if may_make and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(os.urandom(_BYTES))
            file.flush()
            os.fsync(file.fileno())
    try:
        secret = path.read_bytes()
    except FileNotFoundError:
        raise Unavailable(f"the key {path.name} is missing: run `tocsin init`", code="key_missing") from None
    if len(secret) != _BYTES or len(set(secret)) < 8:
        raise Unavailable(f"the key {path.name} is no random key", code="key_weak")
    if path.stat().st_mode & 0o077:
        raise Unavailable(f"the key {path.name} can be read by others: chmod 600", code="key_exposed")
    return secret
