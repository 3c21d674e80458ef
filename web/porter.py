"""Who may hand something in: the signature of a provider's webhook, then the shape of its form."""

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from starlette.requests import Request

from domain.errors import BadInput, NotAllowed
from hub.log import log
from hub.wiring import Hub
from store import shelf
from store.unit import Unit
from web.flood import address_of

T = TypeVar("T")
FORM = "application/x-www-form-urlencoded"
REFUSALS = 20  # of one address in a minute, then 429 (PROMISES H19)
MINUTE = timedelta(minutes=1)
CUTS = 3  # forms of one signature that are shelved; who recorded one call could fill the shelf with it
ADDRESSES = 10_000  # counted at once; a flood from more is the balancer's to stop


class Porter:
    """Stands at every webhook of one application."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._refused: dict[str, deque[datetime]] = {}
        self._proxies = frozenset(p.strip() for p in hub.settings.trusted_proxies.split(",")) - {""}

    async def verified(self, request: Request, url: str) -> tuple[bytes, str]:
        """The raw body of a signed form, and who signed it.

        `url` is that of the settings: headers can be forged (H22).
        """
        query = request.url.query
        signed = url.partition("?")[0] + (f"?{query}" if query else "")
        raw = await request.body()
        given = request.headers.getlist("x-twilio-signature")
        try:
            signer = self._hub.twilio.verify(signed, raw, given[0] if len(given) == 1 else None)
        except NotAllowed:
            raise self.refusal(request) from None
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
            raise BadInput("a form is needed", code="bad_media_type")
        return raw, signer

    def refusal(self, request: Request, wrong: str = "bad_signature") -> Exception:
        """403, or 429 for an address that keeps trying; who signs rightly is never counted or held up."""
        address, at = address_of(request, self._proxies), self._hub.clock()
        if len(self._refused) > ADDRESSES:
            self._refused.clear()
        tries = self._refused.setdefault(address, deque(maxlen=REFUSALS + 1))
        while tries and tries[0] <= at - MINUTE:
            tries.popleft()
        tries.append(at)
        log("door.refused", tries=len(tries))
        code = "too_many_tries" if len(tries) > REFUSALS else wrong
        self._hub.refused[code] += 1
        return NotAllowed("not whom this address is for", code=code)

    async def shaped(
        self,
        kind: str,
        request: Request,
        raw: bytes,
        at: datetime,
        parse: Callable[[], T],
        *,
        origin: str = "",
    ) -> T:
        """What `parse` gives; what is signed and of another shape goes to the shelf before the 400.

        `origin` groups what is alike there; without it, the signature does.
        """
        try:
            return parse()
        except BadInput as error:
            code = error.code
            signature = request.headers.get("x-twilio-signature", "")
            group = origin or f"twilio:{hashlib.sha256(signature.encode()).hexdigest()[:32]}"
            put = self._hub.store.submit(lambda unit: _shelve(unit, kind, code, group, raw, at))
            log("door.shelved", kind=kind, reason=code, shelf=await asyncio.wrap_future(put))
            # The flaws name what was signed wrongly: for the shelf, not for whoever sent it.
            raise BadInput("not the shape of this webhook", code=code) from None


def _shelve(unit: Unit, kind: str, reason: str, origin: str, raw: bytes, at: datetime) -> str:
    """The shelf id, '' when enough of this signature lie there: one signature has thousands of ways to be cut."""
    if shelf.held(unit, kind, origin) >= CUTS:
        return ""
    return shelf.put(unit, kind, reason, at=at, origin=origin, raw=raw)
