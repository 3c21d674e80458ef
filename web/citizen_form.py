"""What a citizen's form says, read leniently: whoever needs help is not taught how to fill in forms."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from starlette.requests import Request

from channels.codecs import slip
from domain.errors import BadInput, HubError
from intake.normalise import clean
from web import multipart

FIELDS = ("text", "place", "lat", "lon", "accuracy", "position_at", "contact")
TRAP = "subject"  # hidden from people; browsers fill in names and addresses by themselves, never this
TOKEN = "once"  # noqa: S105 (a field's name) random, made with each form: the same form sent twice is one report
TYPED_BYTES = 256 * 1024  # of a request that is not taken: its typed fields stand before its files


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A form as it came. `fields` go back into the page when it cannot be taken."""

    fields: Mapping[str, str] = field(default_factory=dict)
    token: str = ""
    is_trapped: bool = False
    files: int = 0
    fingerprint: str = ""
    media_type: str = ""


async def body(request: Request, *, is_wanted: bool) -> tuple[bytes, HubError | None]:
    """The whole body and None; or its beginning, and why it is not taken.

    Not `is_wanted`: only the beginning is read, the server drains the rest.
    """
    raw = bytearray()
    try:
        async for chunk in request.stream():
            raw += chunk
            if not is_wanted and len(raw) >= TYPED_BYTES:
                break
    except HubError as error:
        return bytes(raw[:TYPED_BYTES]), error
    return bytes(raw), None


def read(
    raw: bytes,
    content_type: str,
    *,
    names: Collection[str] = FIELDS,
    apart: Collection[str] = (),
    may_be_cut: bool = False,
) -> Sent:
    """What the fields `names` say. Those named `apart` are read, too, and make no form another one: they are a
    session's. Raises BadInput(bad_media_type, bad_form, bad_slip) for what is no form of either kind.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        parts, media_type = multipart.split(raw, content_type, may_be_cut=may_be_cut)
        pairs = [(part.name, slip.words(bytes(part.data))) for part in parts if part.filename is None]
        return _sent(
            pairs, (*names, *apart), media_type=media_type,
            fingerprint=multipart.fingerprint(part for part in parts if part.name not in apart),
            files=sum(part.is_file for part in parts),
        )  # fmt: skip
    if kind == slip.URLENCODED:
        found = slip.pairs(raw)
        told = "\n".join(sorted(f"{n.hex()}={v.hex()}" for n, v in found if slip.words(n) not in apart))
        return _sent(
            [(slip.words(name), slip.words(value, content_type)) for name, value in found], (*names, *apart),
            media_type=content_type[:120], fingerprint=hashlib.sha256(told.encode()).hexdigest(), files=0,
        )  # fmt: skip
    raise BadInput("a form is needed", code="bad_media_type")


def _sent(
    pairs: list[tuple[str, str]], names: Collection[str], *, media_type: str, fingerprint: str, files: int
) -> Sent:
    fields: dict[str, str] = {}
    for name, value in pairs:
        slip.put(fields, name, value)
    return Sent(
        fields={name: clean(fields.get(name, "")).strip() for name in names},
        token=fields.get(TOKEN, "")[:64],
        is_trapped=bool(fields.get(TRAP, "").strip()),
        files=files,
        fingerprint=fingerprint,
        media_type=media_type,
    )
