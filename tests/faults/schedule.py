"""From one whole number everything that a fault run does: who dies, when, and what the provider does meanwhile."""

import os
import random
from dataclasses import dataclass, replace

from tests.faults.plan import Act, Plan, Told

EMBEDDED = {"all": "up"}
SPREAD = {"web": "web", "smtp": "smtp", "worker1": "worker", "worker2": "worker"}
CALLS = 250  # durable calls of a busy process in two seconds, roughly: a part of the deaths come by the clock
PATIENCE_SECONDS = 1.5  # for a fatal call; then the victim dies where it is
ROUNDS, DEATHS = 6, 5  # of one hub: 30 kills
COLD = 10  # each tenth of them is that of a real `tocsin up`
ENDINGS = ("none", "stop", "correct", "cancel")  # what follows the warning of a round


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """kill -9 of one process: `seconds` after the one before, or at its `call`-th durable call from then.

    `is_cold`: all of it dies, and then a real `tocsin up` that has come up in its place.
    """

    victim: str
    seconds: float = 0.0
    call: int = 0
    is_cold: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Both walks, with deaths meanwhile."""

    plan: Plan
    deaths: tuple[Death, ...]
    ending: str
    ends_after: float  # seconds from the approval to the ending
    area: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One hub's life. Printed when it fails: `TOCSIN_FAULT_SEED=<seed> make faults` does it again."""

    seed: int
    is_spread: bool  # several processes; else one
    has_redis: bool
    rounds: tuple[Round, ...]

    @property
    def processes(self) -> dict[str, str]:
        """Name -> the command that starts it."""
        return SPREAD if self.is_spread else EMBEDDED

    @property
    def kills(self) -> int:
        """How many processes die."""
        return sum(len(one.deaths) for one in self.rounds)


def of(seed: int, *, rounds: int = ROUNDS, deaths: int = DEATHS, can_count: bool = True) -> Schedule:
    """The schedule of a seed: even ones embedded, odd ones spread, whatever the store.

    `can_count`: whether processes can be killed at a call, which needs a C compiler.
    """
    dice = random.Random(seed)
    is_spread = seed % 2 == 1
    names = tuple(SPREAD if is_spread else EMBEDDED)
    made = [_round(dice, seed * 100 + n, names, deaths, can_count=can_count) for n in range(rounds)]
    has_redis = is_spread and dice.random() < 0.5
    for n in range(COLD - 1, rounds * deaths, COLD):
        one, k = divmod(n, deaths)
        cold = Death(victim="up", seconds=dice.uniform(0.2, 2.0), is_cold=True)
        died = made[one].deaths
        made[one] = replace(made[one], deaths=(*died[:k], cold, *died[k + 1 :]))
    return Schedule(seed=seed, is_spread=is_spread, has_redis=has_redis, rounds=tuple(made))


def well(schedule: Schedule) -> Schedule:
    """The same deaths beside a provider that does all it is asked."""
    rounds = tuple(replace(one, plan=Plan(seed=one.plan.seed)) for one in schedule.rounds)
    return replace(schedule, rounds=rounds)


def _round(dice: random.Random, seed: int, names: tuple[str, ...], deaths: int, *, can_count: bool) -> Round:
    trouble = dice.choice((0.0, 1.0, 3.0))  # times a hundredth of the calls for each kind of trouble
    acts = (Act.THROTTLE, Act.ERROR_BEFORE, Act.ERROR_AFTER, Act.RESET_BEFORE, Act.RESET_AFTER,
            Act.GARBAGE_AFTER, Act.CUT_AFTER, Act.REDIRECT, Act.REFUSE, Act.DROP)  # fmt: skip
    plan = Plan(
        seed=seed, weights={Act.OK: 100.0, **dict.fromkeys(acts, trouble)}, delay_ms=dice.choice((20, 80, 150)),
        told={Told.NORMAL: 5, Told.SHUFFLED: 2, Told.BEFORE: 2, Told.LATE: 1, Told.NEVER: 1, Told.FORGED: 1},
    )  # fmt: skip
    return Round(
        plan=plan, deaths=tuple(_death(dice, names, can_count=can_count) for _ in range(deaths)),
        ending=dice.choice(ENDINGS), ends_after=dice.uniform(0.0, 3.0), area=dice.choice(("990000", "990100")),
    )  # fmt: skip


def _death(dice: random.Random, names: tuple[str, ...], *, can_count: bool) -> Death:
    victim = dice.choice(names)
    if can_count and dice.random() < 0.6:
        return Death(victim=victim, call=dice.randint(1, CALLS))
    return Death(victim=victim, seconds=dice.uniform(0.02, PATIENCE_SECONDS))


def seeds(usual: range) -> list[int]:
    """`usual`, or the one of TOCSIN_FAULT_SEED."""
    asked = os.environ.get("TOCSIN_FAULT_SEED")
    return [int(asked)] if asked else list(usual)
