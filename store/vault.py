"""Seals personal data with a key per report; destroying the key destroys the data everywhere."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain.chance import random_bytes
from domain.errors import NotFound, Tampered
from store import tables as t

_VERSION = b"\x01"  # AES-256-GCM, 12-byte random nonce in front
_KEEP = t.data_key.insert()
_NONCE = 12  # NIST SP 800-38D §8.2: 96 bits


class Vault:
    """Holds the deployment's wrapping key; each owner's own key is a row of `data_key`."""

    def __init__(self, master: bytes) -> None:
        """`master`: 32 random bytes, made at `tocsin init`."""
        self._wrap = AESGCM(hashlib.sha256(b"tocsin/wrap/v1" + master).digest())
        self._index_key = hashlib.sha256(b"tocsin/index/v1" + master).digest()
        self._content_key = hashlib.sha256(b"tocsin/content/v1" + master).digest()

    def index(self, address: str) -> str:
        """A blind index of a phone or mail address: equal addresses, equal index, nothing else."""
        return hmac.new(self._index_key, address.encode(), hashlib.sha256).hexdigest()[:32]

    def content_digest(self, content: bytes) -> str:
        """The keyed digest that the journal holds instead of content."""
        return hmac.new(self._content_key, content, hashlib.sha256).hexdigest()

    def new_key(self, owner: str) -> "tuple[Key, bytes]":
        """A key for a new owner, and the wrapped form that keep_keys() stores with the owner's row."""
        secret = AESGCM.generate_key(256)
        nonce = random_bytes(_NONCE)
        return Key(owner, secret), _VERSION + nonce + self._wrap.encrypt(nonce, secret, owner.encode())

    @staticmethod
    def keep_keys(connection: sa.Connection, wrapped: Mapping[str, bytes]) -> None:
        """Store the wrapped keys of new owners."""
        connection.execute(_KEEP, [{"owner": owner, "wrapped": key} for owner, key in wrapped.items()])

    def key(self, connection: sa.Connection, owner: str) -> "Key":
        """The key of `owner`. Raises NotFound once it has been destroyed."""
        query = sa.select(t.data_key.c.wrapped).where(t.data_key.c.owner == owner)
        wrapped = connection.execute(query).scalar_one_or_none()
        if wrapped is None:
            raise NotFound("the key was destroyed", code="erased")
        return Key(owner, _open(self._wrap, wrapped, owner.encode()))

    def keys(self, connection: sa.Connection, owners: Sequence[str]) -> "dict[str, Key]":
        """The keys of `owners`, read together. Raises NotFound when one has been destroyed."""
        found = self.left(connection, owners)
        if any(owner not in found for owner in owners):
            raise NotFound("the key was destroyed", code="erased")
        return found

    def left(self, connection: sa.Connection, owners: Sequence[str]) -> "dict[str, Key]":
        """The keys of those of `owners` that have not been destroyed."""
        k = t.data_key.c
        query = sa.select(k.owner, k.wrapped).where(k.owner.in_(owners), k.wrapped.is_not(None))
        rows = connection.execute(query)
        return {row.owner: Key(row.owner, _open(self._wrap, row.wrapped, row.owner.encode())) for row in rows}

    def destroy(self, connection: sa.Connection, owner: str, at: datetime) -> None:
        """Make everything that `owner`'s key sealed unreadable, in backups too."""
        connection.execute(
            t.data_key.update().where(t.data_key.c.owner == owner).values(wrapped=None, destroyed_at=at)
        )


class Key:
    """One owner's key; `place` (table.column) is authenticated, so a value cannot be moved."""

    def __init__(self, owner: str, secret: bytes) -> None:
        self._owner = owner
        self._cipher = AESGCM(secret)

    def seal(self, place: str, plain: bytes) -> bytes:
        """version ‖ nonce ‖ ciphertext."""
        nonce = random_bytes(_NONCE)
        return _VERSION + nonce + self._cipher.encrypt(nonce, plain, f"{place}|{self._owner}".encode())

    def open(self, place: str, sealed: bytes) -> bytes:
        """The plain bytes. Raises Tampered."""
        return _open(self._cipher, sealed, f"{place}|{self._owner}".encode())


def _open(cipher: AESGCM, sealed: bytes, bound_to: bytes) -> bytes:
    try:
        return cipher.decrypt(sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :], bound_to)
    except (InvalidTag, ValueError):
        raise Tampered("a sealed value does not open", code="sealed_value") from None
