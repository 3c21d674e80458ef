"""What a provider under test does with each call: by its number, or by a seed and weights."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Act(StrEnum):
    """One call's end. `..._BEFORE`: no message exists afterwards; `..._AFTER`: one does."""

    OK = "ok"
    THROTTLE = "throttle"  # 429 with Retry-After: never processed
    REFUSE = "refuse"  # 400 with code 21614
    ERROR_BEFORE = "error_before"  # 500
    ERROR_AFTER = "error_after"
    HANG_BEFORE = "hang_before"  # silence until the caller goes
    HANG_AFTER = "hang_after"
    RESET_BEFORE = "reset_before"  # RST in place of an answer
    RESET_AFTER = "reset_after"
    GARBAGE_AFTER = "garbage_after"  # 200 and a login page, as a captive portal answers
    CUT_AFTER = "cut_after"  # half of the right answer, then the end
    SLOW_AFTER = "slow_after"  # the right answer, byte by byte, for longer than the caller waits
    REDIRECT = "redirect"  # 301 to another place of the same provider
    SAME_SID = "same_sid"  # 201, with the SID of the message before
    DROP = "drop"  # 201 and a SID, and the message goes nowhere: no phone, no receipt

    @property
    def takes(self) -> bool:
        """Whether the message exists for the provider."""
        return self.endswith("_after") or self in (Act.OK, Act.SAME_SID, Act.DROP)

    @property
    def is_ambiguous(self) -> bool:
        """Whether the caller cannot know."""
        return self not in (Act.OK, Act.THROTTLE, Act.REFUSE, Act.SAME_SID, Act.DROP)


class Told(StrEnum):
    """How the provider calls back."""

    NORMAL = "normal"  # queued, sent, delivered
    SHUFFLED = "shuffled"  # each of them `copies` times, in any order
    BEFORE = "before"  # all of them before the call itself is answered
    LATE = "late"
    FORGED = "forged"  # signed with another token
    NEVER = "never"


class Listing(StrEnum):
    """How it answers when it is asked what it holds."""

    OK = "ok"
    ERROR = "error"  # 500
    HANG = "hang"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What happens to one call."""

    act: Act = Act.OK
    told: Told = Told.NORMAL
    copies: int = 3
    delay_ms: int = 0  # before anything happens
    retry_after: str = "1"  # of a THROTTLE, verbatim
    late_ms: int = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The first calls as written down, the others drawn: the n-th call always meets the same end."""

    seed: int = 1
    script: Sequence[Step] = ()
    weights: Mapping[Act, float] = field(default_factory=lambda: {Act.OK: 1.0})
    told: Mapping[Told, float] = field(default_factory=lambda: {Told.NORMAL: 1.0})
    delay_ms: int = 0
    listing: Listing = Listing.OK
    list_lag_seconds: float = 0.0  # until a new message stands in the list
    listed_as: str = "sent"  # the status that the list tells

    def step(self, n: int) -> Step:
        """For the n-th call, 1 being the first."""
        if n <= len(self.script):
            return self.script[n - 1]
        dice = random.Random(f"{self.seed}:{n}")
        (act,) = dice.choices(list(self.weights), list(self.weights.values()))
        (told,) = dice.choices(list(self.told), list(self.told.values()))
        return Step(act=act, told=told, delay_ms=self.delay_ms)

    def to_json(self) -> dict[str, Any]:
        """As parse() takes it."""
        script = [{k: getattr(step, k) for k in Step.__slots__} for step in self.script]
        return {"seed": self.seed, "script": script, "weights": dict(self.weights), "told": dict(self.told),
                "delay_ms": self.delay_ms, "listing": self.listing, "list_lag_seconds": self.list_lag_seconds,
                "listed_as": self.listed_as}  # fmt: skip


def parse(body: Mapping[str, Any]) -> Plan:
    """A plan from JSON. Raises ValueError, KeyError or TypeError for what is none."""
    script = [Step(**{**one, "act": Act(one.get("act", "ok")), "told": Told(one.get("told", "normal"))})
              for one in body.get("script", [])]  # fmt: skip
    return Plan(
        seed=int(body.get("seed", 1)), script=tuple(script), delay_ms=int(body.get("delay_ms", 0)),
        listing=Listing(body.get("listing", "ok")), listed_as=str(body.get("listed_as", "sent")),
        list_lag_seconds=float(body.get("list_lag_seconds", 0)),
        weights={Act(k): float(v) for k, v in body.get("weights", {"ok": 1}).items()},
        told={Told(k): float(v) for k, v in body.get("told", {"normal": 1}).items()},
    )  # fmt: skip
