"""What a simulated provider does with the next messages: rules, matched in order."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, Generic, TypeVar

from domain.errors import BadInput, Flaw


class Act(StrEnum):
    """What happens to one create call. `..._taken`: the message exists, though the caller is not told so."""

    TAKE = "take"
    REFUSE = "refuse"  # HTTP 400 with the rule's `code`
    THROTTLE = "throttle"  # HTTP 429, Retry-After as in the rule, verbatim
    ERROR = "error"  # HTTP 500
    ERROR_TAKEN = "error_taken"
    HANG = "hang"  # no answer, ever
    HANG_TAKEN = "hang_taken"
    RESET = "reset"  # TCP reset instead of an answer
    RESET_TAKEN = "reset_taken"
    GARBAGE = "garbage"  # HTTP 200 and something that is no message
    GARBAGE_TAKEN = "garbage_taken"
    REDIRECT = "redirect"  # HTTP 307 to the same place

    @property
    def takes(self) -> bool:
        """Whether the message exists afterwards."""
        return self is Act.TAKE or self.endswith("_taken")


class Calls(StrEnum):
    """How the status of a message is called back."""

    NORMAL = "normal"
    TWICE = "twice"
    SHUFFLED = "shuffled"  # the last first
    NONE = "none"
    EARLY = "early"  # the first ones before the create call is answered
    FORGED = "forged"  # with a wrong signature
    LATE = "late"  # `late_ms` later


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyRule:
    """What rules of every provider have. `to` is a pattern as of file names."""

    to: str = "*"
    times: int | None = None  # calls left, None for ever
    percent: float = 100.0  # of the calls that match, drawn with the script's seed


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(AnyRule):
    """One rule for a text message."""

    act: Act = Act.TAKE
    code: int = 21211
    retry_after: str = ""
    delay_ms: int = 0  # before the act
    calls: Calls = Calls.NORMAL
    late_ms: int = 10_000
    final: str = "delivered"  # delivered | undelivered | failed | sent
    error_code: int = 0  # of an undelivered or failed one, 30003 ...


USUAL = Rule()
R = TypeVar("R", bound=AnyRule)


class Script(Generic[R]):
    """Rules with what is left of them; changed by the scripter only. `usual` is for what no rule matches."""

    def __init__(self, usual: R, rules: Sequence[R] = (), *, seed: int = 1) -> None:
        self.seed = seed
        self._usual = usual
        self._rules = list(rules)
        self._left = [rule.times for rule in rules]
        self._dice = random.Random(seed)  # noqa: S311  repeatable on purpose

    def draw(self, to: str, *, where: Callable[[R], bool] = lambda _: True) -> R:
        """The first rule that is for `to`, and `where` it holds, with calls left; the usual when none has."""
        for n, rule in enumerate(self._rules):
            left = self._left[n]
            if left == 0 or not where(rule) or not fnmatchcase(to, rule.to):
                continue
            if rule.percent < 100 and self._dice.random() * 100 >= rule.percent:
                continue
            if left is not None:
                self._left[n] = left - 1
            return rule
        return self._usual

    def to_json(self) -> dict[str, Any]:
        """As parse() takes it, `times` being what is left."""
        rules = [asdict(rule) | {"times": left} for rule, left in zip(self._rules, self._left, strict=True)]
        return {"seed": self.seed, "rules": rules}


def parse(body: Any, usual: R) -> Script[R]:
    """A script from JSON: {"seed": 1, "rules": [{"to": "+8613*", "times": 3, "act": "throttle"}]}.

    Rules are of the class of `usual`, and have its values where they say nothing.

    Raises BadInput with the place of every flaw.
    """
    if not isinstance(body, Mapping) or not isinstance(body.get("rules", []), list):
        raise BadInput("a script is an object with a list of rules", flaws=[Flaw("/rules", "not a list")])
    flaws: list[Flaw] = []
    rules = [_rule(n, one, flaws, usual) for n, one in enumerate(body.get("rules", []))]
    if not isinstance(body.get("seed", 1), int):
        flaws.append(Flaw("/seed", "not a whole number"))
    if flaws:
        raise BadInput("the script does not hold", flaws=flaws)
    return Script(usual, rules, seed=body.get("seed", 1))


def _rule(n: int, one: Any, flaws: list[Flaw], usual: R) -> R:
    if not isinstance(one, Mapping):
        flaws.append(Flaw(f"/rules/{n}", "not an object"))
        return usual
    known = {field.name for field in fields(usual)}
    values: dict[str, Any] = {}
    for name, value in one.items():
        try:
            values[name] = _value(name, value, getattr(usual, name) if name in known else None)
        except (ValueError, TypeError):
            flaws.append(Flaw(f"/rules/{n}/{name}", "no such field, or not a value of it"))
    return usual if flaws else type(usual)(**values)


def _value(name: str, value: Any, usual: Any) -> Any:
    if name == "times":
        if value is None or (type(value) is int and value >= 0):
            return value
        raise ValueError(name)
    if isinstance(usual, StrEnum):
        return type(usual)(value)
    if isinstance(usual, float) and type(value) in (int, float) and 0 <= value <= 100:
        return float(value)
    if type(value) is not type(usual) or (type(value) is int and value < 0):
        raise ValueError(name)
    return value
