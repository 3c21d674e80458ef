"""Which entries concern a division: those of it, of what lies in it, and of what it lies in."""

from collections.abc import Mapping, Sequence

from channels.contract import Division, Entry
from domain.errors import BadInput
from domain.place import canonical, prefix


def by_division(entries: Sequence[Entry]) -> list[tuple[Division, list[Entry]]]:
    """Every division that an entry names or lies in, in the order of codes, with its entries in theirs.

    An area that no division book knows has no list of its own.
    """
    known: dict[str, Division] = {d.code: d for entry in entries for d in entry.divisions}
    inside: dict[str, list[str]] = {}
    listed: Mapping[str, list[Entry]] = {code: [] for code in sorted(known)}
    for entry in entries:
        concerned = {d.code for d in entry.divisions}
        for area in areas(entry):
            if area not in inside:
                start = prefix(area)
                inside[area] = [code for code in known if code.startswith(start)]
            concerned.update(inside[area])
        for code in concerned:
            listed[code].append(entry)
    return [(known[code], found) for code, found in listed.items()]


def areas(entry: Entry) -> list[str]:
    """The canonical codes of an entry's areas; what is no code is passed over."""
    found = []
    for area in entry.areas:
        try:
            found.append(canonical(area))
        except BadInput:
            continue
    return found


def of_entry(entry: Entry) -> list[Division]:
    """The divisions that the entry names itself."""
    named = set(areas(entry))
    return [d for d in entry.divisions if d.code in named]


def within(division: Division, known: Mapping[str, Division]) -> list[Division]:
    """What a division lies in, the nearest first."""
    codes = dict.fromkeys(canonical(division.code[:digits]) for digits in (9, 6, 4, 2))
    return [known[code] for code in codes if code in known and code != division.code]


def name(division: Division, language: str) -> str:
    """Its name in that language, else in the first it has."""
    return division.names.get(language) or next(iter(division.names.values()), division.code)
