"""Rules of the resources of a CAP alert: address, type, size, digest."""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator

from lxml import etree

from channels.codecs.cap_finding import Finding
from channels.codecs.cap_page import Page
from channels.codecs.cap_rules_info import is_absolute
from channels.codecs.markup import text_of, words

_TYPES = "application|audio|example|font|haptics|image|message|model|multipart|text|video"  # IANA top-level
_MIME = re.compile(rf"(?:{_TYPES})/[A-Za-z0-9!#$&^_.+-]{{1,127}}(?:\s*;.{{0,200}})?", re.I)
_SHA1 = re.compile(r"[0-9A-Fa-f]{40}")


def resources(page: Page) -> Iterator[Finding]:
    """R18 to R21 for every resource."""
    for resource in page.each("resource"):
        yield from _address(page, resource)
        yield from _type(page, resource)
        yield from _size(page, resource)
        yield from _digest(page, resource)


def _address(page: Page, resource: etree._Element) -> Iterator[Finding]:
    """R18: an absolute uri, or a relative one with the content beside it in derefUri."""
    uri, deref = page.first(resource, "uri"), page.first(resource, "derefUri")
    if deref is not None and _content(page, resource) is None:
        yield page.error("R18", deref, "derefUri is not base64")
    if uri is not None and deref is None and not is_absolute(text_of(uri)):
        yield page.error("R18", uri, "a relative uri without derefUri leads nowhere")
    if uri is None and deref is None:
        yield page.duty("R18", resource, "a resource with neither uri nor derefUri", is_note=False)
    if page.as_output and deref is not None:
        yield page.error("R18", deref, "derefUri goes to one-way networks only: publish a uri")


def _type(page: Page, resource: etree._Element) -> Iterator[Finding]:
    """R19: mimeType is type/subtype (RFC 2046)."""
    element = page.first(resource, "mimeType")
    if element is not None and not _MIME.fullmatch(text_of(element)):
        yield page.error("R19", element, "mimeType is not type/subtype")


def _size(page: Page, resource: etree._Element) -> Iterator[Finding]:
    """R20: size is not negative, and is that of the content."""
    element = page.first(resource, "size")
    if element is None:
        return
    text, content = text_of(element), _content(page, resource)
    if not re.fullmatch(r"\+?[0-9]{1,18}", text):
        yield page.error("R20", element, "size is not a number of bytes")
    elif content is not None and int(text) != len(content):
        yield page.error("R20", element, f"size differs from the {len(content)} bytes of derefUri")


def _digest(page: Page, resource: etree._Element) -> Iterator[Finding]:
    """R21: digest is the SHA-1 of the content (CAP 1.2 §3.2.3)."""
    element = page.first(resource, "digest")
    if element is None:
        return
    text, content = text_of(element), _content(page, resource)
    if not _SHA1.fullmatch(text):
        yield page.error("R21", element, "digest is not a SHA-1 in 40 hex digits")
    elif content is not None and text.lower() != hashlib.sha1(content, usedforsecurity=False).hexdigest():
        yield page.error("R21", element, "digest differs from the SHA-1 of derefUri")


def _content(page: Page, resource: etree._Element) -> bytes | None:
    """The bytes in derefUri, or None."""
    text = "".join(words(page.text(resource, "derefUri")))
    try:
        return base64.b64decode(text, validate=True) if text else None
    except (binascii.Error, ValueError):
        return None
