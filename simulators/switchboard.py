"""A telephone system on this machine: calls to the desk ring, are answered and end, as its CTI webhook tells.

Source: docs.zammad.org, "Generic CTI".
"""

import secrets
from dataclasses import dataclass, field

import aiohttp


@dataclass(slots=True, kw_only=True)
class DeskCall:
    """One call to the desk. A word may be told twice; the hub does not mind."""

    url: str  # of the hub's door, with its token
    number: str
    called: str = "12350"
    sid: str = field(default_factory=lambda: secrets.token_hex(12))
    told: list[str] = field(default_factory=list)
    status: int = 0  # of the hub's last answer; 0: none came

    @property
    def is_over(self) -> bool:
        """Whether somebody has hung up."""
        return "hangup" in self.told

    async def ring(self) -> None:
        """It rings at every desk."""
        await self._tell("newCall", user="")

    async def answer(self, login: str) -> None:
        """Somebody has taken it."""
        await self._tell("answer", answeringNumber=login)

    async def hang_up(self) -> None:
        """It is over; what was said has been recorded when somebody had taken it."""
        cause = "normalClearing" if "answer" in self.told else "cancel"
        kept = {"recording": f"http://127.0.0.1/recordings/{self.sid}.wav"} if "answer" in self.told else {}
        await self._tell("hangup", cause=cause, **kept)

    async def _tell(self, event: str, **more: str) -> None:
        said = {
            "event": event,
            "from": self.number,
            "to": self.called,
            "direction": "in",
            "callId": self.sid,
            **more,
        }
        self.told.append(event)
        try:
            patience = aiohttp.ClientTimeout(total=10)
            async with (
                aiohttp.ClientSession(timeout=patience) as session,
                session.post(self.url, json=said) as answer,
            ):
                self.status = answer.status
        except (aiohttp.ClientError, TimeoutError):
            self.status = 0
