"""What a rendered text looks like on its channel: running text, a letter, a page, a script; and its marks."""

import re
import textwrap
from dataclasses import dataclass

from domain.handling import Mode

COLUMNS = 72  # of a line of a Latin letter: quoted twice it still fits the 78 of RFC 5322 §2.1.1
_ITEM = re.compile(r"\d+\. ")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mark:
    """How a text that is not meant says so, in one language.

    `opening` and `closing` are read aloud, where brackets cannot be heard. The closing speaks of what was
    read and never says that the exercise has ended: to its players that is an order (ENDEX).
    """

    tag: str
    words: str
    opening: str
    closing: str

    @property
    def line(self) -> str:
        """A line of its own, above and below a page or a letter."""
        return f"{self.tag} {self.words} {self.tag}"


_MARKS = {
    Mode.DEMO: {
        "zh-CN": _Mark(tag="【演示】", words="演示信息，并非真实发布", opening="演示，演示，以下是演示内容。",
                       closing="以上是演示内容。"),
        "en": _Mark(tag="[TEST]", words="Demonstration only: not a real message",
                    opening="This is only a test.", closing="That was only a test."),
    },
    Mode.EXERCISE: {
        "zh-CN": _Mark(tag="【演练】", words="演练信息", opening="演练，演练，以下是演练内容。",
                       closing="以上是演练内容。"),
        "en": _Mark(tag="[EXERCISE]", words="This is an exercise message",
                    opening="Exercise, exercise. This is an exercise.", closing="That was an exercise."),
    },
}  # fmt: skip


def flow(text: str, language: str) -> str:
    """Template lines become running text; an empty line starts a paragraph."""
    between = "" if language == "zh-CN" else " "
    paragraphs = re.split(r"\n[ \t]*\n", text.strip())
    return "\n".join(
        between.join(line.strip() for line in p.splitlines() if line.strip()) for p in paragraphs
    )


def message(text: str, mode: Mode, language: str) -> str:
    """Running text between two marks: an SMS, or a part of an alert. Nothing stays nothing."""
    return _between(flow(text, language), _mark(mode, language), language)


def letter(text: str, mode: Mode, language: str) -> str:
    """First line the subject, an empty line, the body: a line of the template is a line of the letter."""
    subject, *lines = [line.strip() for line in text.strip().splitlines()]
    body = re.sub(r"\n{3,}", "\n\n", "\n".join(_wrapped(line, language) for line in lines).strip())
    if mark := _mark(mode, language):
        subject = mark.tag + ("" if language == "zh-CN" else " ") + subject
        body = f"{mark.line}\n\n{body}\n\n{mark.line}"
    return f"{subject}\n\n{body}\n"


def post(text: str, mode: Mode, language: str) -> str:
    """A message of a chat: lines as the template has them, none wrapped, the marks on lines of their own."""
    body = re.sub(r"\n{3,}", "\n\n", "\n".join(line.strip() for line in text.strip().splitlines()))
    mark = _mark(mode, language)
    return f"{mark.line}\n\n{body}\n\n{mark.line}" if mark else body


def page(body: str, mode: Mode, language: str) -> str:
    """The inner HTML of a notice."""
    if not (mark := _mark(mode, language)):
        return body.strip() + "\n"
    line = f'<p class="mark">{mark.line}</p>'
    return f"{line}\n{body.strip()}\n{line}\n"


def script(text: str, mode: Mode, language: str) -> str:
    """One paragraph to be read aloud."""
    said = flow(text, language)
    if not (mark := _mark(mode, language)):
        return said
    return ("" if language == "zh-CN" else " ").join((mark.opening, said, mark.closing))


def spoken_marks(mode: Mode, language: str) -> str:
    """What script() puts before and after a text; '' in a live one."""
    mark = _mark(mode, language)
    return f"{mark.opening} {mark.closing}" if mark else ""


def _mark(mode: Mode, language: str) -> _Mark | None:
    return _MARKS[mode][language] if mode in _MARKS else None


def _between(text: str, mark: _Mark | None, language: str) -> str:
    if mark is None or not text:
        return text
    return f"{mark.tag}{text}{mark.tag}" if language == "zh-CN" else f"{mark.tag} {text} {mark.tag}"


def _wrapped(line: str, language: str) -> str:
    """Latin lines are broken between words, those of a list under their first word; Chinese ones never are."""
    if language == "zh-CN":
        return line
    hang = " " * len(item[0]) if (item := _ITEM.match(line)) else ""
    return textwrap.fill(
        line, COLUMNS, subsequent_indent=hang, break_long_words=False, break_on_hyphens=False
    )
