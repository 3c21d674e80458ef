"""Keys inside a backup, closed with a passphrase."""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from domain.errors import BadInput, Refused

SHORTEST = 12  # letters; NIST SP 800-63B asks 15 of a password alone, an office types this one at a disaster
_N, _R, _P = 1 << 17, 8, 1  # RFC 7914 with 128 MiB: OWASP "Password Storage" asks for at least this
_SALT, _NONCE = 16, 12


def seal(secret: bytes, passphrase: str, name: str) -> bytes:
    """salt ‖ nonce ‖ ciphertext, bound to `name`. Raises Refused for a passphrase that is too short."""
    if len(passphrase) < SHORTEST:
        raise Refused(f"the passphrase needs at least {SHORTEST} letters", code="passphrase_short")
    salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
    return salt + nonce + _cipher(passphrase, salt).encrypt(nonce, secret, name.encode())


def unseal(sealed: bytes, passphrase: str, name: str) -> bytes:
    """The secret. Raises BadInput for another passphrase."""
    salt, nonce, body = sealed[:_SALT], sealed[_SALT : _SALT + _NONCE], sealed[_SALT + _NONCE :]
    try:
        return _cipher(passphrase, salt).decrypt(nonce, body, name.encode())
    except (InvalidTag, ValueError):
        raise BadInput(
            "this passphrase does not open the keys of the backup", code="bad_passphrase"
        ) from None


def _cipher(passphrase: str, salt: bytes) -> AESGCM:
    return AESGCM(Scrypt(salt=salt, length=32, n=_N, r=_R, p=_P).derive(passphrase.encode()))
