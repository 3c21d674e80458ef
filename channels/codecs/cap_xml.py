"""The versions of CAP by their namespaces, and the verdicts of the OASIS schemas."""

from functools import lru_cache
from importlib.resources import files
from threading import Lock
from typing import Any

from lxml import etree

from channels.codecs.markup import first_invalid, parse_xml

CAP_10 = "http://www.incident.com/cap/1.0"
CAP_11 = "urn:oasis:names:tc:emergency:cap:1.1"
CAP_12 = "urn:oasis:names:tc:emergency:cap:1.2"
VERSIONS = {CAP_10: "1.0", CAP_11: "1.1", CAP_12: "1.2"}
_SCHEMAS = {CAP_11: "CAP-v1.1.xsd", CAP_12: "CAP-v1.2.xsd"}
_MANY = 2_000  # elements; below it even an alert that is wrong everywhere is judged in 20 ms
_ATTRIBUTES = 100  # CAP has none; xsi and xmldsig have a handful
_MOST = 200  # messages: nobody reads more


def schema_errors(alert: etree._Element) -> list[tuple[int, str, str]]:
    """(line, message, XPath from the alert) of what the schema of its version refuses; empty when valid.

    A version without a schema here (1.0, or none) is judged by that of 1.2. The line is 0 and the path empty
    when there are too many to find each one's place.
    """
    namespace = etree.QName(alert).namespace or ""
    schema, lock = _schema(_SCHEMAS.get(namespace, _SCHEMAS[CAP_12]))
    counts = [len(element.attrib) for element in alert.iter(etree.Element)]
    if max(counts) > _ATTRIBUTES:  # the log of 500,000 messages needs more memory than a child has
        return [(0, f"an attribute of {max(counts)} in one element: the attribute is not allowed", "")]
    with lock:  # under threads libxml2's verdict is right but the error log is another document's
        if len(counts) > _MANY:
            found = first_invalid(alert, schema, _MOST)
            if len(found) >= _MOST:
                return [(0, message, "") for message in found]
        if schema.validate(alert):
            return []
        log: Any = getattr(schema, "error_log", ())  # lxml has it, its stubs do not
        return [(e.line, e.message, _below(e.path or "")) for e in log]


def _below(path: str) -> str:
    """The path from the alert on: ``/*/*[9]/*[2]`` becomes ``*[9]/*[2]``."""
    return path.lstrip("/").partition("/")[2]


@lru_cache(maxsize=2)
def _schema(name: str) -> tuple[etree.XMLSchema, Lock]:
    source = files("channels").joinpath("codecs", "schema", name).read_bytes()
    return etree.XMLSchema(parse_xml(source)), Lock()
