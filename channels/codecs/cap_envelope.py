"""What a document is: an alert, or an envelope, feed or list that holds alerts."""

from lxml import etree

from channels.codecs.cap_xml import VERSIONS

_ATOM = "http://www.w3.org/2005/Atom"
_EDXL = "urn:oasis:names:tc:emergency:EDXL:DE:"
NATIONAL = "CAP-CN"
_ALERTS = tuple(f"{{{namespace}}}alert" for namespace in VERSIONS)


def alerts_in(root: etree._Element) -> list[etree._Element]:
    """The alerts in document order; an `alert` at the root is one in whatever namespace."""
    if is_alert(root):
        return [root]
    return [one for one in root.iter(*_ALERTS, "alert") if one.tag != "alert" or _is_bare(one)]


def is_alert(root: etree._Element) -> bool:
    """Whether the document itself is an alert, of whatever version."""
    return etree.QName(root).localname == "alert"


def is_national(root: etree._Element) -> bool:
    """Whether it is of the Chinese national format: no namespace, and times and codes under names of its own."""
    return root.tag == "alert" and any(root.find(name) is not None for name in ("sendTime", "senderCode"))


def version_of(root: etree._Element) -> str:
    """What it is read as: ``1.2``, ``1.1``, ``1.0``, ``atom``, ``rss+cap``, ``EDXL-DE 1.0 envelope`` ...

    An alert without a namespace is read as 1.2, or is ``CAP-CN`` by its own elements; one in a namespace that
    nobody knows is named by it. '' is no document that can hold an alert.
    """
    name, namespace = etree.QName(root).localname, etree.QName(root).namespace or ""
    if is_national(root):
        return NATIONAL
    if name == "alert":
        return VERSIONS.get(namespace, namespace or "1.2")
    if name == "feed" and namespace == _ATOM:
        return "atom" + _and_cap(root)
    if name == "rss":
        return "rss" + _and_cap(root)
    if name == "EDXLDistribution" and namespace.startswith(_EDXL):
        return f"EDXL-DE {namespace.removeprefix(_EDXL)} envelope"
    first = next(root.iter(*_ALERTS), None)
    return "" if first is None else f"wrapper of {VERSIONS[etree.QName(first).namespace or '']}"


def is_distribution(root: etree._Element) -> bool:
    """Whether it is an EDXL-DE, of whatever version."""
    return etree.QName(root).localname == "EDXLDistribution"


def is_envelope(root: etree._Element) -> bool:
    """Whether it is of a format that is meant to hold alerts or to list them."""
    return version_of(root).startswith(("atom", "rss", "EDXL"))


def _is_bare(one: etree._Element) -> bool:
    """Whether an `alert` of no namespace is one of CAP: feeds have elements of that name that are none."""
    return one.find("identifier") is not None and not is_national(one)


def _and_cap(root: etree._Element) -> str:
    """Elements of CAP, as an index carries some and a fat feed whole alerts; '' without any."""
    prefixes = tuple(f"{{{namespace}}}" for namespace in VERSIONS)
    is_declared = any(uri in VERSIONS for uri in root.nsmap.values())
    is_used = is_declared or any(str(e.tag).startswith(prefixes) for e in root.iter(etree.Element))
    return "+cap" if is_used else ""
