"""How fast logins may be tried: waits that grow for an account and an address, and never become a lock."""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from store import people
from store.unit import Unit

FREE_ACCOUNT = 5  # slips of a tired person
FREE_ADDRESS = 20  # a duty room may share one address
LONGEST = timedelta(seconds=60)  # a wait, never a lock: an attacker must not shut out the duty officer
FORGET = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Knock:
    """One try to log in: which counters it belongs to, in the order they are charged."""

    login: str
    address: str
    device: str  # cookie of a browser in which this account has logged in before, or ''

    def buckets(self, unit: Unit) -> tuple[tuple[str, int], ...]:
        """(bucket, free failures). A known device has its own, so failures of strangers never slow it.

        OWASP, "Slow Down Online Guessing Attacks with Device Cookies".
        """
        account = hashlib.sha256(self.login.encode()).hexdigest()[:32]
        nonce, _, mac = self.device.partition(".")
        if nonce and secrets.compare_digest(mac.encode(), device_mac(unit, nonce, self.login).encode()):
            return ((f"device:{nonce[:32]}:{account}", FREE_ACCOUNT),)
        return ((f"account:{account}", FREE_ACCOUNT), address_bucket(self.address))


def wait(unit: Unit, buckets: Iterable[tuple[str, int]], at: datetime) -> timedelta:
    """How long until the next try; tries during the wait are neither counted nor checked."""
    waits = [timedelta(0)]
    for bucket, free in buckets:
        failures, last = people.failures(unit, bucket)
        if last and failures >= free and at - last < FORGET:
            grown = min(LONGEST, timedelta(seconds=2 ** min(failures - free, 10)))
            waits.append(last + grown - at)
    return max(waits)


def count(unit: Unit, bucket: str, at: datetime) -> None:
    """One more failure; what lies further back than FORGET no longer counts."""
    _, last = people.failures(unit, bucket)
    if last and at - last >= FORGET:
        people.forget_failures(unit, bucket)
    people.count_failure(unit, bucket, at)


def device_mac(unit: Unit, nonce: str, login: str) -> str:
    """Proof that this hub gave the cookie `nonce` to a browser in which `login` logged in."""
    return unit.vault.index(f"device/v1:{nonce}:{login}")


def address_bucket(address: str) -> tuple[str, int]:
    """The counter of one address."""
    return f"address:{address[:64]}", FREE_ADDRESS
