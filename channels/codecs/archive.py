"""What a file holds inside: the names, sizes and kinds of an archive's entries, and the documents among them.

Runs in the sandbox after filing. Nothing is ever unpacked to a disk: entries are read from memory, 100 MB and
1,000 names out of one file, two archives deep (PROMISES H15).
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from channels.codecs import archive_kinds
from channels.codecs.archive_kinds import Member
from channels.codecs.document import READERS, XML
from channels.codecs.files import HEAD, sniff
from channels.codecs.plain_text import clean, one_line
from channels.codecs.zip_file import ENTRIES, UNPACKED, Budget, Spent
from domain.errors import BadInput

DEPTH = 2  # archives inside one another that are opened (H15)
NAME_MAX = 300  # characters of a path that are shown
DOCUMENTS = 20  # whose text is read out of one file: each is a call of a second or two
DOCUMENT_BYTES = 20 << 20  # of one
DOCUMENTS_BYTES = 60 << 20  # of all together, which go through a pipe
SUSPICIOUS, RATIO = (
    10 << 20,
    200,
)  # bytes from so many times fewer: text packs 1:10, logs 1:50, deflate ends at 1:1,032
_EXECUTABLE = re.compile(
    r"\.(?:exe|scr|com|pif|bat|cmd|dll|cpl|msi|msp|ps1|psm1|vbs|vbe|js|jse|wsf|wsh|hta|lnk|url|jar|apk|iso|img|vhdx?"
    r"|reg|chm|gadget|sh|elf|app|dmg|docm|xlsm|pptm|xll)$",
    re.IGNORECASE,
)
_PROGRAMS = ("application/vnd.microsoft.portable-executable", "application/x-executable",
             "application/vnd.android.package-archive")  # fmt: skip
_OUTSIDE = re.compile(r"^(?:[A-Za-z]:|[/\\])|(?:^|[/\\])\.\.(?:[/\\]|$)")
_PLAIN_EDGES = " .\t\x00\u200b\u202c"  # Windows drops blanks and dots behind a name


def look(data: bytes, options: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """For the sandbox; `options`: ``name`` and, when it is no matter of bytes, ``media_type`` of the file.

    Answers ``{"media_type", "is_container", "entries", "findings", "documents"}`` and blobs. An entry is
    ``{"name", "size", "packed", "media_type", "depth", "marks"}``; a document ``{"path", "media_type"}`` with
    ``"blob"`` (index; -1: the file itself), ``"text"`` or ``"reason"`` why it is not read. Raises BadInput(archive_broken |
    archive_not_opened) for a container of which nothing can be listed.
    """
    name, media_type = str(options.get("name", "")), str(options.get("media_type", "")) or sniff(data)
    seen = _Look(size=len(data))
    if media_type in _PROGRAMS or _is_executable(name):
        seen.note("executable")
    is_container = media_type in archive_kinds.KINDS
    if is_container:
        seen.open(data, media_type, path="", name=name, depth=1)
    elif media_type in READERS:
        seen.documents.append({"path": "", "media_type": media_type, "blob": -1})
    return {
        "media_type": media_type, "is_container": is_container, "entries": seen.entries, "findings": seen.findings,
        "documents": seen.documents,
    }, seen.blobs  # fmt: skip


@dataclass(slots=True, kw_only=True)
class _Look:
    """What was seen so far, at all depths."""

    size: int
    budget: Budget = field(default_factory=Budget)
    entries: list[dict[str, Any]] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    documents: list[dict[str, Any]] = field(default_factory=list)
    blobs: list[bytes] = field(default_factory=list)

    def note(self, finding: str) -> None:
        if finding not in self.findings:
            self.findings.append(finding)

    def open(self, data: bytes, media_type: str, *, path: str, name: str, depth: int) -> None:
        """List an archive, and look into each entry. Raises BadInput when nothing can be listed."""
        found = archive_kinds.KINDS[media_type](data, name, self.budget)
        for finding in found.findings:
            self.note(finding)
        if found.text:
            self.documents.append({"path": path, "media_type": media_type, "text": found.text})
        try:
            for member in found.members:
                if len(self.entries) >= ENTRIES:
                    self.note("archive_many_entries")
                    return
                self._look_at(member, path, depth)
        except Spent:
            self._spent()
        except BadInput as error:  # it broke off: what was listed until then stays
            self.note(error.code)

    def _look_at(self, member: Member, path: str, depth: int) -> None:
        whole = f"{path}/{member.name}".removeprefix("/")
        marks = [mark for mark, is_so in (("encrypted", member.is_encrypted), ("symlink", member.is_link),
                 ("traversal", bool(_OUTSIDE.search(member.name))),
                 ("executable", _is_executable(member.name))) if is_so]  # fmt: skip
        if _is_bomb(member.size, member.packed):
            marks.append("bomb")
        entry: dict[str, Any] = {
            "name": _shown(whole), "size": member.size, "packed": member.packed, "media_type": "", "depth": depth,
            "marks": marks,
        }  # fmt: skip
        self.entries.append(entry)
        if not (member.is_encrypted or member.is_link or "bomb" in marks):
            self._open(member, entry, whole, depth)
        if entry["media_type"] in _PROGRAMS and "executable" not in marks:
            marks.append("executable")
        for mark in marks:
            if mark not in ("not_opened", "broken"):
                self.note(f"archive_{mark}")

    def _open(self, member: Member, entry: dict[str, Any], whole: str, depth: int) -> None:
        """Find out its kind; go into it when it is an archive, keep it when it is a document."""
        if member.pieces is None:
            entry["marks"].append("not_opened")
            return
        try:
            data, is_whole = self._taken(member.pieces(), is_counted=member.size < 0, entry=entry)
        except Spent:
            entry["marks"].append("not_opened")
            self._spent()
            return
        except BadInput as error:
            entry["marks"].append("encrypted" if error.code == "entry_encrypted" else "broken")
            return
        kind = entry["media_type"] = member.media_type or sniff(data)
        if _is_bomb(entry["size"], member.packed):
            entry["marks"].append("bomb")
        elif kind in archive_kinds.KINDS and is_whole:
            self._go_into(data, kind, entry, whole, depth)
        elif kind in READERS and kind != XML:  # in an archive XML is what programs keep, by the hundred
            self._keep(data, kind, whole, is_whole=is_whole)

    def _taken(
        self, pieces: Iterator[bytes], *, is_counted: bool, entry: dict[str, Any]
    ) -> tuple[bytes, bool]:
        """Its bytes and whether that is all of them: of what nobody reads only the beginning is unpacked."""
        kept, count, is_kept = bytearray(), 0, True
        for piece in pieces:
            self.budget.take(len(piece))
            count += len(piece)
            if is_kept:
                kept += piece
                if len(kept) >= HEAD:
                    is_kept = _is_wanted(bytes(kept[:HEAD]))
            elif not is_counted:
                return bytes(kept), False
        if is_counted:
            entry["size"] = count
        return bytes(kept), len(kept) == count

    def _go_into(self, data: bytes, kind: str, entry: dict[str, Any], whole: str, depth: int) -> None:
        if depth >= DEPTH:
            entry["marks"].append("not_opened")
            self.note("archive_too_deep")
            return
        try:
            self.open(data, kind, path=whole, name=whole, depth=depth + 1)
        except BadInput:
            entry["marks"].append("not_opened")

    def _keep(self, data: bytes, kind: str, whole: str, *, is_whole: bool) -> None:
        document: dict[str, Any] = {"path": _shown(whole), "media_type": kind}
        kept = sum(map(len, self.blobs))
        if not is_whole or len(data) > DOCUMENT_BYTES:
            document["reason"] = "document_too_large"
        elif len(self.blobs) >= DOCUMENTS or kept + len(data) > DOCUMENTS_BYTES:
            document["reason"] = "many_documents"
        else:
            document["blob"] = len(self.blobs)
            self.blobs.append(data)
        if len(self.documents) < 5 * DOCUMENTS:
            self.documents.append(document)

    def _spent(self) -> None:
        """Over the limit: of so few bytes it is a bomb, of many an archive too large to be looked through."""
        self.note("archive_bomb" if RATIO * self.size < UNPACKED else "archive_over_limit")


def _is_wanted(head: bytes) -> bool:
    """Whether the rest is of use: an archive, or a document, whose kind may stand further behind."""
    kind = sniff(head)
    return (
        kind in archive_kinds.KINDS
        or kind in READERS
        or kind in ("application/x-ole-storage", "application/zip")
    )


def _is_bomb(size: int, packed: int) -> bool:
    return size >= SUSPICIOUS and packed >= 0 and size > RATIO * max(packed, 1)


def _is_executable(name: str) -> bool:
    return bool(_EXECUTABLE.search(name.rstrip(_PLAIN_EDGES)))


def _shown(name: str) -> str:
    with suppress(UnicodeError):
        name = name.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return one_line(clean(name), limit=NAME_MAX) or "?"
