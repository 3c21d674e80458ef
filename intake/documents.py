"""What came with a report as files, read as part of what it says (详见附件)."""

from collections.abc import Sequence
from dataclasses import replace

from domain.report import Content, Fact

DOCUMENTS = 10  # of a report that are read


def with_documents(content: Content, texts: Sequence[str]) -> Content:
    """`content` with further facts `document`, one for each of `texts` (store.scans.texts)."""
    documents = tuple(Fact(value=text, origin="document") for text in texts[:DOCUMENTS])
    return replace(content, facts={**content.facts, "document": documents}) if documents else content
