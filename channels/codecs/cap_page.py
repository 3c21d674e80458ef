"""The alert as the rules see it: elements by local name, their text, their place."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from lxml import etree

from channels.codecs.cap_finding import Finding, Severity
from channels.codecs.cap_lines import Lines
from channels.codecs.markup import text_of

INFOS = 2_000  # real alerts have under 50; 140,000 empty ones kept the rules busy for 5 s
_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})T([0-9]{2}:[0-9]{2}:[0-9]{2})([+-][0-9]{2}:[0-9]{2})")
_FARTHEST = timedelta(hours=14)  # XML Schema part 2 §3.2.7.3: no zone is farther from UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """An alert in its document. Names are those of its namespace, so that CAP 1.1 can be read too."""

    root: etree._Element
    lines: Lines = field(default_factory=lambda: Lines(""))
    as_output: bool = False

    @property
    def namespace(self) -> str:
        """The root's namespace, '' without one."""
        return etree.QName(self.root).namespace or ""

    def all(self, parent: etree._Element, name: str) -> list[etree._Element]:
        """The children of that name, in document order."""
        return parent.findall(self._named(name))

    def each(self, name: str) -> Iterator[etree._Element]:
        """Every element of that name in the alert."""
        return self.root.iter(self._named(name))

    def _named(self, name: str) -> str:
        return f"{{{self.namespace}}}{name}" if self.namespace else name

    def first(self, parent: etree._Element, name: str) -> etree._Element | None:
        """The first child of that name."""
        return parent.find(self._named(name))

    def text(self, parent: etree._Element, name: str) -> str:
        """The stripped text of the first child of that name, '' without one."""
        child = self.first(parent, name)
        return "" if child is None else text_of(child)

    def time(self, parent: etree._Element, name: str) -> datetime | None:
        """The time in the first child of that name, None when absent or not a time."""
        return moment(self.text(parent, name))

    def infos(self) -> list[etree._Element]:
        """The info blocks that the rules look at."""
        return self.all(self.root, "info")[:INFOS]

    def error(self, rule: str, at: etree._Element, message: str) -> Finding:
        """A finding that forbids publishing."""
        return self._finding(rule, Severity.ERROR, at, message)

    def warning(self, rule: str, at: etree._Element, message: str) -> Finding:
        """A finding that an officer should see."""
        return self._finding(rule, Severity.WARNING, at, message)

    def note(self, rule: str, at: etree._Element, message: str) -> Finding:
        """A finding that breaks nothing."""
        return self._finding(rule, Severity.NOTE, at, message)

    def duty(self, rule: str, at: etree._Element, message: str, *, is_note: bool = True) -> Finding:
        """What we owe in our own output and tolerate, with a note or a warning, in what others send."""
        tolerated = Severity.NOTE if is_note else Severity.WARNING
        return self._finding(rule, Severity.ERROR if self.as_output else tolerated, at, message)

    def _finding(self, rule: str, severity: Severity, at: etree._Element, message: str) -> Finding:
        line = self.lines.of(at)
        return Finding(rule=f"CAP-{rule}", severity=severity, line=line, message=message, path=path_of(at))


def moment(text: str) -> datetime | None:
    """A CAP dateTime, or None. 24:00:00 is the next midnight (XML Schema part 2 §3.2.7)."""
    match = _TIME.fullmatch(text)
    if not match:
        return None
    day, clock, offset = match.groups()
    is_end_of_day = clock == "24:00:00"
    try:
        at = datetime.fromisoformat(f"{day}T{'00:00:00' if is_end_of_day else clock}{offset}")
        at.astimezone(UTC)
        if abs(at.utcoffset() or timedelta()) > _FARTHEST:
            return None
        return at + timedelta(days=1) if is_end_of_day else at
    except (ValueError, OverflowError):
        return None


def path_of(element: etree._Element) -> str:
    """``alert/info[1]/area[2]/polygon[1]``; the numbers count among the siblings of that name."""
    steps: list[str] = []
    node: etree._Element | None = element
    while node is not None:
        parent = node.getparent()
        name = etree.QName(node).localname
        if parent is not None:
            name += f"[{sum(1 for _ in node.itersiblings(node.tag, preceding=True)) + 1}]"
        steps.append(name)
        node = parent
    return "/".join(reversed(steps))
