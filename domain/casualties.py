"""Who came to harm, as a text says it: the dead, the missing, the trapped, the injured; corrections and "no casualties" too."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, islice

from domain.harm_words import (
    BEFORE,
    EN,
    EN_PATTERN,
    LOSS,
    LOSS_UNIT,
    MENDED,
    NOBODY_EN,
    NOBODY_ZH,
    OVERRIDE,
    SHORT,
    SOME_ZH,
    UNKNOWN,
    ZH,
    ZH_PATTERN,
    Harm,
)  # fmt: skip
from domain.numerals import Count, count

READ_MAX = 20_000  # characters of a text that are looked through
NEAR = 3  # letters between a number of households and what happened to them
STATEMENTS = 200  # numbers in one text; a longer list is a table and no report


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One place in the text that says a number."""

    harm: Harm
    count: Count
    start: int
    end: int
    is_household: bool = False  # 埋了2家: how many people is not said
    is_superseded: bool = False  # 原报2人: what was said before


@dataclass(frozen=True, slots=True, kw_only=True)
class Casualties:
    """What a text says in the end, and every statement it says it with."""

    numbers: Mapping[Harm, Count] = field(default_factory=dict)
    households: Mapping[Harm, Count] = field(default_factory=dict)
    statements: tuple[Statement, ...] = ()
    is_unknown: bool = False  # 伤亡情况不明
    loss_cny: int | None = None  # direct economic loss

    @property
    def is_said(self) -> bool:
        """Whether the text says anything about it, "nobody" and "not known" included."""
        return bool(self.numbers or self.households or self.is_unknown)

    def most(self, harm: Harm) -> int:
        """The greater end of what is said, 0 for nothing."""
        found = self.numbers.get(harm)
        return found.most if found else 0


def casualties(text: str) -> Casualties:
    """What `text` says; any text will do, and none raises."""
    text = text[:READ_MAX]
    said = sorted(islice(chain(_stated(text), _nobody(text)), STATEMENTS), key=lambda s: s.start)
    override = [m.start() for m in islice(OVERRIDE.finditer(text), STATEMENTS)]
    loss = LOSS.search(text)
    return Casualties(
        numbers=_chosen([s for s in said if not s.is_household], override),
        households=_chosen([s for s in said if s.is_household], override),
        statements=tuple(said),
        is_unknown=bool(UNKNOWN.search(text)),
        loss_cny=int(float(loss["n"]) * LOSS_UNIT.get(loss["unit"] or "", 1)) if loss else None,
    )


def _stated(text: str) -> Iterator[Statement]:
    for found in ZH_PATTERN.finditer(text):
        yield from _chinese(found, text)
    for found in SOME_ZH.finditer(text):
        yield from _statements(
            found, text, _harms(found.groupdict(), "x"), Count(low=1, high=None), is_household=False
        )
    if any("a" <= c <= "z" for c in text[:READ_MAX].lower()):
        for found in EN_PATTERN.finditer(text):
            yield from _english(found, text)


def _chinese(found: "re.Match[str]", text: str) -> Iterator[Statement]:
    groups = found.groupdict()
    prefix = "c" if groups["short"] else "x" if groups["xunit"] else "y"
    is_people = groups["ya"] in ("俩", "仨")  # 死了仨: two, three of people
    if prefix == "y" and not (groups["yunit"] or groups["oa"] or "人数" in found[0] or is_people):
        return  # 死亡3: of what is not said
    number = count(found, prefix)
    if number is None:
        return
    if "以上" in found[0] or text.startswith("以上", found.end()):
        number = replace(number, high=None)
    unit = groups[f"{prefix}unit"] if prefix != "c" else "人"
    is_household = unit in ("户", "家", "家人")
    if is_household and prefix == "x" and _gap(found) > NEAR:
        return  # 一户人家烧炭中毒: one family is told of, not a number
    harms = [SHORT[groups["short"][-1]]] if prefix == "c" else _harms(groups, prefix)
    if prefix != "c" and groups[f"{prefix}_both"]:
        harms, number = [Harm.DEAD, Harm.INJURED], replace(number, low=0, high=number.most)
    yield from _statements(found, text, harms, number, is_household=is_household)


def _gap(found: "re.Match[str]") -> int:
    """Letters between 2户 and 被埋."""
    starts = [found.start(f"x_{harm.value}") for harm in Harm]
    verb = max(starts) if max(starts) >= 0 else found.end() - len("伤亡")
    return verb - found.end("xunit")


def _english(found: "re.Match[str]", text: str) -> Iterator[Statement]:
    groups = found.groupdict()
    prefix = "x" if groups["xa"] else "y" if groups["ya"] else "z"
    number = count(found, prefix)
    if number is None:
        return
    who = (groups.get(f"{prefix}who") or "").lower()
    is_household = "household" in who or "famil" in who
    yield from _statements(found, text, _harms(groups, prefix), number, is_household=is_household)


def _harms(groups: Mapping[str, str | None], prefix: str) -> list[Harm]:
    return [harm for harm in Harm if groups.get(f"{prefix}_{harm.value}")]


def _statements(
    found: "re.Match[str]", text: str, harms: list[Harm], number: Count, *, is_household: bool
) -> Iterator[Statement]:
    is_past = bool(BEFORE.search(text[max(0, found.start() - 24) : found.start()]))
    for harm in harms:
        yield Statement(harm=harm, count=number, start=found.start(), end=found.end(), is_household=is_household,
                        is_superseded=is_past)  # fmt: skip
        mended = MENDED.match(text, found.end())
        if mended and (better := count(mended, "m")):
            yield Statement(
                harm=harm, count=better, start=mended.start(), end=mended.end(), is_household=is_household
            )


def _nobody(text: str) -> Iterator[Statement]:
    zero = Count(low=0, high=0)
    for found in (*NOBODY_ZH.finditer(text), *NOBODY_EN.finditer(text)):
        groups = found.groupdict()
        words = (groups["what"] or groups.get("what2") or "").lower()
        if words in ("死", "伤") and not groups.get("who"):
            continue  # 没死: of somebody
        for harm in _none_of(words):
            yield Statement(harm=harm, count=zero, start=found.start(), end=found.end())


def _none_of(words: str) -> list[Harm]:
    if "伤亡" in words or "casualt" in words:
        return [Harm.DEAD, Harm.INJURED]
    harms = [Harm.DEAD, Harm.MISSING, Harm.TRAPPED, Harm.INJURED]
    return [
        h
        for h in harms
        if re.search(f"{ZH[h]}|{EN[h]}", words) or (h is Harm.DEAD and words == "loss of life")
    ]


def _chosen(said: list[Statement], override: list[int]) -> dict[Harm, Count]:
    """Of several numbers for one harm: the last behind a correction, else the greatest. What it was before does not count."""
    chosen: dict[Harm, Count] = {}
    for harm in Harm:
        left = [s for s in said if s.harm is harm and not s.is_superseded]
        behind = [s for s in left if any(o < s.start and s.start - o < 60 for o in override)]
        ends = {s.end for s in left}
        if mended := [s for s in left if s.start in ends]:
            chosen[harm] = mended[-1].count
        elif behind:
            chosen[harm] = behind[-1].count
        elif left:
            chosen[harm] = max((s.count for s in left), key=lambda c: (c.most, c.low))
    parts = [chosen[h] for h in (Harm.SERIOUS, Harm.LIGHT) if h in chosen]
    if parts and Harm.INJURED not in chosen:
        chosen[Harm.INJURED] = Count(low=sum(p.low for p in parts), high=sum(p.most for p in parts))
    return chosen
