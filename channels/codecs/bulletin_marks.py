"""Marks of state secrecy in what peers send: looked for in all that stands there, not only in what a page shows."""

from collections.abc import Iterator, Sequence
from typing import Any

from lxml import etree

from domain.secrecy import mark_in


def of_elements(root: etree._Element, alerts: Sequence[etree._Element]) -> list[str]:
    """The mark of each alert of a document, '' for none; one that stands around them is a mark of all."""
    marks = [mark_in(_words(one)) for one in alerts]
    if not any(marks) and (around := mark_in(_words(root))):
        return [around] * len(alerts)
    return marks


def is_around(root: etree._Element, alerts: Sequence[etree._Element]) -> bool:
    """Whether a mark stands in the document and in none of its alerts."""
    return not any(mark_in(_words(one)) for one in alerts) and bool(mark_in(_words(root)))


def of_value(value: Any) -> str:
    """The mark in a value of JSON."""
    return mark_in("\0".join(_texts(value)))


def _words(element: etree._Element) -> str:
    """Texts and attributes, apart from each other, so that two of them make no mark between them."""
    said = [str(text) for text in element.itertext(etree.Element)]
    said += [str(text) for one in element.iter(etree.Element) for text in one.attrib.values()]
    return "\0".join(said)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, one in value.items():
            yield str(name)
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
