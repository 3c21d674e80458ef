"""The kinds of files that hold files, each as a list of members that can be read piece by piece."""

import bz2
import io
import itertools
import lzma
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import rarfile

from channels.codecs import mail
from channels.codecs.files import sniff
from channels.codecs.outlook_msg import files_of_msg, open_msg
from channels.codecs.zip_file import (
    CHUNK,
    LOCAL_HEADER,
    UNPACKED,
    Budget,
    Entry,
    ZipFile,
    decompressed,
    gathered,
    inflated,
)
from domain.errors import BadInput

DICTIONARY = 64 << 20  # bytes of memory an xz stream may ask for: `xz -9` asks for 65 MiB to unpack
GZIP, BZIP2, XZ, TAR = "application/gzip", "application/x-bzip2", "application/x-xz", "application/x-tar"
_ENDINGS = {GZIP: (".gz", ".tgz"), BZIP2: (".bz2", ".tbz2"), XZ: (".xz", ".txz")}
_NAMED = 0x08  # RFC 1952 §2.3.1: FNAME
_EXTRA = 0x04
_GZIP_NAME = 1_000  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One entry; `size` is -1 when only reading tells, `packed` -1 when it has none of its own."""

    name: str
    size: int
    packed: int = -1
    is_encrypted: bool = False
    is_link: bool = False
    pieces: Callable[[], Iterator[bytes]] | None = None  # None: can be listed, not opened
    media_type: str = ""  # when it is not told by the bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A container; `text` is what it says itself, as a mail does."""

    members: Iterable[Member]
    findings: tuple[str, ...] = ()
    text: str = ""


Opener = Callable[[bytes, str, Budget], Opened]


def _zip(data: bytes, _name: str, _budget: Budget) -> Opened:
    archive = ZipFile(data)
    first = list(itertools.islice(archive.entries(), 2_000))
    findings = (
        ("archive_bomb",)
        if _overlap([(e.offset, LOCAL_HEADER + len(e.raw_name) + e.packed) for e in first])
        else ()
    )
    if findings:  # D. Fifield, "A better zip bomb": one kernel of data under many names; none of it is opened
        return Opened(
            members=[_of_zip(None, entry) for entry in first if not entry.is_directory], findings=findings
        )
    if archive.count and not first:
        raise BadInput("its directory is not where it says", code="archive_broken")
    return Opened(members=(_of_zip(archive, entry) for entry in archive.entries() if not entry.is_directory))


def _of_zip(archive: ZipFile | None, entry: Entry) -> Member:
    return Member(
        name=entry.name, size=entry.size, packed=entry.packed, is_encrypted=entry.is_encrypted,
        is_link=entry.is_symlink, pieces=partial(archive.pieces, entry) if archive else None,
    )  # fmt: skip


def _overlap(places: list[tuple[int, int]]) -> bool:
    """Whether two entries share bytes: the next begins before the packed bytes of the one before end."""
    end = -1
    for offset, packed in sorted(places):
        if offset < end:
            return True
        end = max(end, offset + packed)
    return False


def _tar(data: bytes, _name: str, _budget: Budget) -> Opened:
    return Opened(members=_tar_members(data))


def _tar_members(data: bytes) -> Iterator[Member]:
    count = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:", errors="surrogateescape") as archive:
            while (entry := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # it would keep each, and look through them for every link
                count += 1
                if entry.isdir():
                    continue
                is_file = entry.isfile()
                yield Member(
                    name=_tar_name(entry.name), size=max(entry.size, 0), is_link=entry.issym() or entry.islnk(),
                    pieces=partial(_tar_pieces, archive, entry) if is_file else None,
                )  # fmt: skip
    except (tarfile.TarError, OSError, EOFError, ValueError, LookupError, OverflowError, RecursionError):
        code = "archive_cut" if count else "archive_broken"
        raise BadInput("the tape ends where it must not", code=code) from None


def _tar_pieces(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> Iterator[bytes]:
    file = archive.extractfile(entry)
    while file is not None and (piece := file.read(CHUNK)):
        yield piece


def _tar_name(name: str) -> str:
    raw = name.encode("utf-8", "surrogateescape")
    return name if raw.decode("utf-8", "ignore") == name else raw.decode("gb18030", "replace")


def _stream(kind: str, data: bytes, name: str, budget: Budget) -> Opened:
    """One packed stream: a tape is the archive itself, anything else its only entry."""
    head = next(_unpacked(kind, data), b"")
    if sniff(head) == TAR:
        return _tar(gathered(_unpacked(kind, data), budget, UNPACKED), name, budget)
    inner = (_gzip_name(data) if kind == GZIP else "") or _without_ending(kind, name)
    return Opened(
        members=[Member(name=inner, size=-1, packed=len(data), pieces=partial(_unpacked, kind, data))]
    )


def _unpacked(kind: str, data: bytes) -> Iterator[bytes]:
    view = memoryview(data)
    try:
        if kind == GZIP:
            yield from inflated(view, 31)
        elif kind == BZIP2:
            yield from decompressed(bz2.BZ2Decompressor(), view)
        else:
            yield from decompressed(lzma.LZMADecompressor(memlimit=DICTIONARY + (2 << 20)), view)
    except Exception as error:  # zlib.error, OSError, LZMAError, EOFError: each library has its own
        raise BadInput(f"it does not unpack: {type(error).__name__}", code="archive_broken") from None


def _gzip_name(data: bytes) -> str:
    """The name in the header (RFC 1952 §2.3); '' without one, or when it goes on and on."""
    if len(data) < 12 or not data[3] & _NAMED:
        return ""
    begin = 10 + (2 + int.from_bytes(data[10:12], "little") if data[3] & _EXTRA else 0)
    end = data.find(b"\0", begin, begin + _GZIP_NAME)
    raw = data[begin:end] if end > begin else b""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("gb18030", "replace")


def _without_ending(kind: str, name: str) -> str:
    ending = next((e for e in _ENDINGS[kind] if name.lower().endswith(e)), "")
    return name.rpartition("/")[2].removesuffix(name[len(name) - len(ending) :] if ending else "") or "?"


def _rar(data: bytes, _name: str, _budget: Budget) -> Opened:
    """Its directory only: no free program unpacks all of RAR, and none that is asked for here."""
    try:
        with rarfile.RarFile(io.BytesIO(data), errors="stop", part_only=True) as archive:
            entries = [entry for entry in archive.infolist()[:2_000] if not entry.is_dir()]
            is_closed = bool(archive.needs_password()) and not entries
    except (rarfile.Error, OSError, EOFError, ValueError, LookupError, TypeError, AttributeError):
        raise BadInput("its directory cannot be read", code="archive_broken") from None
    if is_closed:
        return Opened(members=(), findings=("archive_encrypted", "archive_not_opened"))
    if not entries:
        raise BadInput("no entry that can be read", code="archive_broken")
    members = [
        Member(name=str(e.filename), size=int(e.file_size or 0), packed=int(e.compress_size or 0),
               is_encrypted=bool(e.needs_password()), is_link=bool(e.is_symlink()))
        for e in entries
    ]  # fmt: skip
    return Opened(members=members, findings=("archive_not_opened",))


def _seven(_data: bytes, _name: str, _budget: Budget) -> Opened:
    raise BadInput("7-Zip is named, not opened", code="archive_not_opened")


def _mail(data: bytes, _name: str, _budget: Budget) -> Opened:
    """A mail inside a mail: its words, and its files as members."""
    told, blobs = mail.read(data, {})
    head = "\n".join(filter(None, (told["subject"], told["from_address"], told["date"])))
    members = [_in_mail(str(f["name"]), blobs[f["blob"]], str(f["media_type"])) for f in told["attachments"]]
    return Opened(members=members, text=f"{head}\n\n{told['text']}".strip())


def _outlook(data: bytes, _name: str, _budget: Budget) -> Opened:
    found = open_msg(data)
    if found is None:
        raise BadInput("a damaged message", code="archive_broken")
    members = [_in_mail(name, content) for name, content in files_of_msg(data)]
    return Opened(members=members, text="\n\n".join(filter(None, (found.subject, found.sender, found.text))))


def _in_mail(name: str, data: bytes, media_type: str = "") -> Member:
    return Member(name=name or "?", size=len(data), pieces=lambda: iter([data]), media_type=media_type)


KINDS: dict[str, Opener] = {
    "application/zip": _zip,
    "application/vnd.android.package-archive": _zip,
    TAR: _tar,
    GZIP: partial(_stream, GZIP),
    BZIP2: partial(_stream, BZIP2),
    XZ: partial(_stream, XZ),
    "application/vnd.rar": _rar,
    "application/x-7z-compressed": _seven,
    "message/rfc822": _mail,
    "application/vnd.ms-outlook": _outlook,
}
