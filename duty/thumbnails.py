"""The small pictures that officers see in place of strangers' pictures, made when first asked for."""

import contextlib
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from channels.codecs import fax_pages, pixels, thumbnail
from domain.errors import BadInput, Unavailable
from sandbox.pool import Parser, Pool
from store.blobs import Blobs

WALL, CPU = timedelta(seconds=6), timedelta(seconds=3)  # 40 million pixels of a PNG take 1 s
WAITING = 4  # callers at once: each holds a thread of the pages while the one child draws
_END = b"\xff\xd9"  # ITU-T T.81 §B.2.1: end of image
# The picture alone is the cause. A busy machine may be that of parser_timeout: drawn again at the next look.
_FOR_EVER = ("not_a_picture", "picture_too_large", "picture_broken", "parser_memory", "parser_crashed", "no_such_page",
             "document_broken", "document_encrypted")  # fmt: skip
_PATIENCE = timedelta(seconds=5)  # a page that is read may wait for the pages before it


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumbnail:
    """A JPEG of our own making, or the reason why there is none."""

    jpeg: bytes = b""
    width: int = 0
    height: int = 0
    reason: str = ""


class Thumbnails:
    """Files beside the originals, named by their SHA-256; they can be thrown away and are in no backup.

    Its pool is its own: a picture that takes long to draw holds up no filing.
    """

    def __init__(self, directory: Path, *, blobs: Blobs, pool: Pool) -> None:
        self._directory = directory
        self._blobs = blobs
        self._pool = pool
        self._drawing = threading.Lock()
        self._seats = threading.BoundedSemaphore(WAITING)

    def known(self, sha256: str, media_type: str) -> Thumbnail | None:
        """What is known without drawing anything; None: ask get()."""
        if media_type not in thumbnail.FORMATS:
            return Thumbnail(reason="not_a_picture")
        return self._kept(sha256)

    def get(self, sha256: str, media_type: str) -> Thumbnail:
        """The thumbnail of a blob, drawn in a child unless it was before.

        Raises Unavailable when too many wait already, NotFound, Tampered.
        """
        if found := self.known(sha256, media_type):
            return found
        if not self._seats.acquire(blocking=False):
            raise Unavailable("too many pictures are waited for", code="busy")
        try:
            with self._drawing:
                return self.known(sha256, media_type) or self._draw(sha256, sha256, thumbnail.draw, {})
        finally:
            self._seats.release()

    def page(self, sha256: str, number: int) -> Thumbnail:
        """A page of a fax or a PDF, large enough to be read; like get()."""
        name = f"{sha256}-{number:03}"
        if found := self._kept(name):
            return found
        if not self._seats.acquire(timeout=_PATIENCE.total_seconds()):
            raise Unavailable("too many pictures are waited for", code="busy")
        try:
            with self._drawing:
                return self._kept(name) or self._draw(sha256, name, fax_pages.draw, {"page": number})
        finally:
            self._seats.release()

    def forget(self, sha256: str) -> None:
        """What was drawn of a file goes with it, its pages too."""
        for path in self._path(sha256).parent.glob(f"{sha256}*"):
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """End the child."""
        self._pool.close()

    def _kept(self, name: str) -> Thumbnail | None:
        with contextlib.suppress(OSError):
            return _read(self._path(name).read_bytes())
        return None

    def _draw(self, sha256: str, name: str, drawer: Parser, options: Mapping[str, Any]) -> Thumbnail:
        try:
            data = self._pool.run(drawer, self._blobs.get(sha256), options).blobs[0]
        except BadInput as error:
            if error.code not in _FOR_EVER:
                return Thumbnail(reason=error.code)
            data = error.code.encode("ascii")
        with contextlib.suppress(OSError):  # a full disk: drawn again at the next look
            self._keep(name, data)
        return _read(data)

    def _keep(self, name: str, data: bytes) -> None:
        """Whole or not at all; not synced, since it can be drawn again."""
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = path.with_name(f".{name}.{os.getpid()}")
        try:
            temporary.write_bytes(data)
            temporary.rename(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise

    def _path(self, name: str) -> Path:
        return self._directory / name[:2] / name


def _read(data: bytes) -> Thumbnail:
    """A file of ours: a JPEG, or the code of a reason. Raises OSError for what a power cut left of one."""
    if (size := pixels.size_of(data, "image/jpeg")) and data.endswith(_END):
        return Thumbnail(jpeg=data, width=size[0], height=size[1])
    if (reason := data.decode("ascii", "replace")) in _FOR_EVER:
        return Thumbnail(reason=reason)
    raise FileNotFoundError
