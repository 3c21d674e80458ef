"""On which line of a document each element begins: libxml2 keeps 16 bits of it, and the end of the tag."""

import re

from lxml import etree

# In a well-formed document without DOCTYPE these are all the places where a '<' can stand.
_TOKEN = re.compile(
    r"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|</[^>]*>"
    r"|(<)[^<>\"']*(?:\"[^\"]*\"[^<>\"']*|'[^']*'[^<>\"']*)*>",
    re.S,
)


class Lines:
    """The lines of one document; worked out when the first one is asked for."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts: list[int] | None = None
        self._places: dict[etree._Element, int] = {}

    def of(self, element: etree._Element) -> int:
        """The 1-based line of the element's '<'; what libxml2 says where the text cannot be followed."""
        if self._starts is None:
            self._starts = _starts(self._text)
        if element not in self._places:  # kept in the dict, an element stays the same object
            root: etree._Element = element.getroottree().getroot()
            every = list(root.iter(etree.Element))
            is_followed = len(every) == len(self._starts)
            self._places |= {each: n if is_followed else -1 for n, each in enumerate(every)}
        place = self._places.get(element, -1)
        if place >= 0:
            return self._starts[place]
        return element.sourceline if isinstance(element.sourceline, int) else 0


def _starts(text: str) -> list[int]:
    """The line of every start tag in document order."""
    found, line, before = [], 1, 0
    for token in _TOKEN.finditer(text):
        if token[1]:
            line += text.count("\n", before, token.start())
            before = token.start()
            found.append(line)
    return found
