"""标题: place, type, casualties, progress: the title of a report as drafted for the officer, in his languages."""

from collections.abc import Mapping

from domain.harm_words import Harm
from domain.numerals import Count
from templates.pages import word

_ORDER = (Harm.DEAD, Harm.MISSING, Harm.TRAPPED, Harm.SERIOUS, Harm.INJURED)


def title(
    language: str, *, place: str, event: str, people: Mapping[Harm, Count], households: Mapping[Harm, Count],
    is_unknown: bool = False, progress: str = "",
) -> str:  # fmt: skip
    """示例县大坪村发生滑坡，致2人死亡，正在救援 / Landslide in Daping: 2 dead; rescue under way; '' when nothing is known."""
    shape = "of" if place and event else "event_only" if event else "place_only" if place else ""
    if not shape:
        return ""
    made = word("title", shape, language).format_map({"place": place, "event": event})
    harmed = harms(language, people, households)
    if harmed:
        made += word("title", "harmed", language).format(people=word("title", "and", language).join(harmed))
    elif Harm.DEAD in people:
        made += word("title", "nobody", language)
    elif is_unknown:
        made += word("title", "unknown", language)
    if progress:
        made += word("title", "progress", language).format(progress=word("progress", progress, language))
    return made


def harms(language: str, people: Mapping[Harm, Count], households: Mapping[Harm, Count]) -> list[str]:
    """Each number in words: 至少3人死亡 / at least 3 dead. Harm that is said to have come to nobody is left out."""
    said = [
        word("harm", harm.value, language).format(n=amount(language, people[harm]))
        for harm in _ORDER
        if harm in people and people[harm].high != 0 and not (harm is Harm.INJURED and Harm.SERIOUS in people
                                                               and people[Harm.SERIOUS] == people[harm])
    ]  # fmt: skip
    return said + [
        word("household", harm.value, language).format(n=amount(language, households[harm]))
        for harm in _ORDER
        if harm in households
    ]


def amount(language: str, count: Count) -> str:
    """3, 3至5, 至少3."""
    if count.high is None:
        return word("amount", "least", language).format(low=count.low)
    if count.high == count.low:
        return str(count.low)
    return word("amount", "range", language).format(low=count.low, high=count.high)
