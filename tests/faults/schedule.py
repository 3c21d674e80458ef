"""From one whole number everything that a fault run does: who dies, when, and what the provider does meanwhile."""

import os
import random
from dataclasses import dataclass

from tests.faults.plan import Act, Plan, Told

EMBEDDED = ("all",)
SPREAD = ("web", "smtp", "worker1", "worker2")
LASTS_SECONDS = 2.5  # both walks side by side on an idle machine
CALLS = 500  # durable calls of a process in that time, roughly: a tenth of the runs end without a crash


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """kill -9 of one process: at its `call`-th durable call, or `seconds` after the walks have begun."""

    victim: str
    seconds: float = 0.0
    call: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One run. Printed when it fails: `TOCSIN_FAULT_SEED=<seed> make faults` does it again."""

    seed: int
    is_spread: bool  # PostgreSQL, Redis and four processes; else SQLite and one
    death: Death
    plan: Plan
    sms: int
    mails: int
    api: int


def of(seed: int) -> Schedule:
    """The schedule of a seed: even ones embedded, odd ones spread."""
    dice = random.Random(seed)
    is_spread = seed % 2 == 1
    victim = dice.choice(SPREAD if is_spread else EMBEDDED)
    if dice.random() < 0.5:
        death = Death(victim=victim, call=dice.randint(1, CALLS))
    else:
        death = Death(victim=victim, seconds=dice.uniform(0.02, LASTS_SECONDS))
    trouble = dice.choice((0.0, 1.0, 3.0))  # times a hundredth of the calls for each kind of trouble
    acts = (Act.THROTTLE, Act.ERROR_BEFORE, Act.ERROR_AFTER, Act.RESET_BEFORE, Act.RESET_AFTER,
            Act.GARBAGE_AFTER, Act.CUT_AFTER, Act.REDIRECT, Act.REFUSE, Act.DROP)  # fmt: skip
    plan = Plan(
        seed=seed, weights={Act.OK: 100.0, **dict.fromkeys(acts, trouble)}, delay_ms=dice.choice((20, 80, 150)),
        told={Told.NORMAL: 5, Told.SHUFFLED: 2, Told.BEFORE: 2, Told.LATE: 1, Told.NEVER: 1, Told.FORGED: 1},
    )  # fmt: skip
    return Schedule(seed=seed, is_spread=is_spread, death=death, plan=plan, sms=dice.randint(10, 30),
                    mails=dice.randint(5, 10), api=dice.randint(5, 10))  # fmt: skip


def seeds(usual: range) -> list[int]:
    """`usual`, or the one of TOCSIN_FAULT_SEED."""
    asked = os.environ.get("TOCSIN_FAULT_SEED")
    return [int(asked)] if asked else list(usual)
