"""Tells the other processes, and the desk, what this one makes of its providers."""

import secrets
from datetime import datetime

from outbox.breaker import Look, Standing
from outbox.outgoing import Outgoing
from store import providers
from store.providers import Provider

_RENEWED = 5  # looks: a row that nobody renews is soon not believed any more


class Standings:
    """Of one process; looks each second, and writes when something has changed."""

    def __init__(self, out: Outgoing) -> None:
        self._out, self._process = out, secrets.token_hex(8)
        self._told: dict[tuple[str, str], tuple[Standing, bool, str]] = {}
        self._looks = 0

    def tell(self) -> None:
        """Write down what troubles a provider, or that it is over."""
        out, at = self._out, self._out.clock()
        looks = {(w.channel, out.spare_name(w)): out.courier.breaker_of(w).look() for w in out.all_wires()}
        bad = {which: look for which, look in looks.items() if look.is_troubled}
        now = {which: (look.standing, look.is_told_to_wait, look.code) for which, look in bad.items()}
        self._looks += 1
        if now == self._told and (not now or self._looks % _RENEWED):
            return
        found = [_row(*which, look, at) for which, look in bad.items()]
        out.store.run(lambda unit: providers.note(unit, self._process, found, at))
        self._told = now


def _row(channel: str, spare: str, look: Look, at: datetime) -> Provider:
    return Provider(channel=channel, spare=spare, standing=look.standing.value, code=look.code,
                    is_told_to_wait=look.is_told_to_wait, until=at + look.rest, since=at)  # fmt: skip
