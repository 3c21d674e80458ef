"""The eight elements of a warning, 突发事件应对法 art. 64, looked for in the finished texts.

类别, 级别, 起始时间, 可能影响范围, 警示事项, 应采取的措施, 发布单位, 发布时间. A template that forgot one is found
here, and so is a field that was filled with nothing.
"""

import html
import re
from collections.abc import Iterator, Mapping
from datetime import datetime

from lxml import etree

from approval.freeze import Frozen, Place
from approval.gather import Inputs
from channels.codecs.markup import parse_xml
from domain.artefact import Artefact, Purpose
from domain.errors import Flaw
from domain.place import canonical
from domain.release import Kind
from templates import moments
from templates.library import colour_name

_TAG = re.compile(r"<[^>]{0,500}>")
_CAP = "{urn:oasis:names:tc:emergency:cap:1.2}"


def missing(inputs: Inputs, frozen: Frozen, *, place: Place) -> list[Flaw]:
    """The elements that the main texts do not say. For what is no warning: place and issuer only."""
    found: list[Flaw] = []
    for artefact in frozen.artefacts:
        if artefact.purpose is Purpose.MAIN:
            found += _of_artefact(inputs, artefact, frozen.sent, place)
    return found


def _of_artefact(inputs: Inputs, artefact: Artefact, sent: datetime, place: Place) -> Iterator[Flaw]:
    is_spoken = artefact.channel == "broadcast"
    for language, text in _texts(inputs, artefact).items():
        said = _plain(text)
        pointer = f"/artefacts/{artefact.channel}/{language}/{artefact.purpose}"
        for name, words in _wanted(inputs, language, sent, place, is_spoken=is_spoken):
            if _plain(words) not in said:
                yield Flaw(pointer, f"does not say: {name} (突发事件应对法 art. 64)")
    if artefact.channel == "cap_feed" and inputs.release.draft.kind is Kind.WARNING:
        yield from _of_alert(artefact)


def _plain(text: str) -> str:
    """One line, in lower case: a letter breaks its lines where it must, also within a name."""
    return " ".join(text.casefold().split())


def _wanted(
    inputs: Inputs, language: str, sent: datetime, place: Place, *, is_spoken: bool
) -> Iterator[tuple[str, str]]:
    """(element, words that say it)."""
    draft = inputs.release.draft
    yield "发布单位 issuer", place.issuer(draft.issuer, language)
    for code in draft.areas:
        if names := inputs.names.get(canonical(code)):
            yield "可能影响范围 area", names[0 if language == "zh-CN" else 1]
    if draft.kind is not Kind.WARNING:
        return
    yield "类别 type", inputs.template.events[language]
    for name, at in (
        ("发布时间 time of issue", sent),
        ("起始时间 start", draft.onset or draft.effective or sent),
    ):
        local = at.astimezone(place.zone)
        yield name, moments.spoken_clock(local, language) if is_spoken else moments.clock(local)
    if draft.colour:
        yield "级别 level", colour_name(draft.colour, language)


def _texts(inputs: Inputs, artefact: Artefact) -> Mapping[str, str]:
    """language -> what a person reads."""
    if artefact.channel == "cap_feed":
        root = parse_xml(artefact.body)
        return {
            info.findtext(f"{_CAP}language", ""): " ".join(str(t) for t in info.itertext())
            + _local_times(root, info)
            for info in root.iter(f"{_CAP}info")
        }
    text = artefact.body.decode()
    if artefact.channel == "web_notice":
        text = html.unescape(_TAG.sub("", text))
    return {artefact.language: text}


def _local_times(root: etree._Element, info: etree._Element) -> str:
    """sent, effective and onset as ``HH:MM``: in an alert they are elements and not words."""
    found = (root.findtext(f"{_CAP}sent"), info.findtext(f"{_CAP}effective"), info.findtext(f"{_CAP}onset"))
    return "".join(f" {value[11:16]}" for value in found if value)


def _of_alert(artefact: Artefact) -> Iterator[Flaw]:
    """警示事项 and 应采取的措施 are elements of an alert."""
    root = parse_xml(artefact.body)
    for info in root.iter(f"{_CAP}info"):
        pointer = f"/artefacts/cap_feed/{info.findtext(f'{_CAP}language', '')}/{artefact.purpose}"
        for name, tag in (("警示事项 warning", "description"), ("应采取的措施 measures", "instruction")):
            if not info.findtext(f"{_CAP}{tag}", "").strip():
                yield Flaw(pointer, f"does not say: {name} (突发事件应对法 art. 64)")
