"""The rest of the world at a hub's doors: a telephone, a switchboard, a chat, an SMS centre, peers, departments, a fax.

Each row of `Outside.doors` sends message `n` as its provider would, the same again until it is taken; `found` and
`broken` ask the rows of the hub what became of it.
"""

import asyncio
import base64
import contextlib
import json
import os
import secrets
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from channels.codecs import smpp_deliver, sms_parts
from domain.person import Scope
from store import peers, people, reports
from store import tables as t
from store.database import Store
from store.tables_desk import ring
from store.tables_peers import bulletin
from store.unit import Unit
from tests import bulletin_kit, fax_kit
from tests.chat_kit import SECRET, Chats, chats
from tests.chat_kit import TOKEN as BOT
from tests.chat_kit import update as chat_update
from tests.faults.callbacks import post_form
from tests.faults.walkers import Door
from tests.intake.peer_server import Site, atom, peer_site
from tests.smpp_kit import LOGIN, Centre, centre
from tests.walks.houses import House

PAUSES = {"voice": 0.3, "cti": 0.3, "chat": 0.3, "smpp": 0.3, "import": 0.5, "tus": 0.5, "push": 0.4, "pull": 0.6,
          "fax": 1.0}  # fmt: skip  # seconds between two messages
STEPS = ("menu", "place", "said")  # of a call, in which its caller may hang up
FILLERS = 30  # further rows of an import
FILE = os.urandom(150_000)  # in three parts; its beginning names whose it is
PARTS = (0, 50_000, 100_000, len(FILE))
CTI = secrets.token_urlsafe(24)
_CONFIRMED_WITHIN = 2.0  # seconds that a row waits before it says that nobody has taken its message yet


@dataclass
class Outside:
    """All of it, for one hub."""

    chat: Chats
    centre: Centre
    site: Site
    fax_dir: Path
    is_polled: bool
    peer_key: str = field(default_factory=lambda: f"tocsin_test_{secrets.token_urlsafe(32)}")
    _asked: dict[str, Any] = field(default_factory=dict)  # marker -> what was begun, and is not begun twice
    _sent: dict[str, int] = field(default_factory=dict)  # marker -> n

    @property
    def settings(self) -> dict[str, Any]:
        """Of the hub that it knocks at. SMS go by the other provider while that one answers."""
        return {
            "telegram_token": BOT, "telegram_api_url": self.chat.url, "fax_dir": self.fax_dir, "cti_token": CTI,
            "telegram_webhook_secret": "" if self.is_polled else SECRET, "smpp_host": "127.0.0.1",
            "smpp_port": self.centre.port, "smpp_role": "spare", "smpp_from": "12379",
            "smpp_system_id": LOGIN["system_id"], "smpp_password": LOGIN["password"],
        }  # fmt: skip

    def meet(self, store: Store) -> None:
        """A key for the peer that pushes, and the feed of the one that is pulled."""
        at = datetime.now(UTC)
        url = self.site.put("/alerts.atom", atom([]), kind="application/atom+xml")
        scopes = frozenset({Scope.PEER})
        store.run(lambda unit: people.add_key(unit, "key_peer", self.peer_key, name="peer", organisation="邻省应急管理厅",
                                              person_id=None, scopes=scopes, at=at))  # fmt: skip
        store.run(
            lambda unit: peers.add(unit, "neighbour", url, period=2, hosts=(), senders=(), by="per_1", at=at)
        )

    @property
    def doors(self) -> Mapping[str, Door]:
        """Name -> who knocks there."""
        rows: dict[str, Door] = {
            "voice": self._call, "cti": self._switchboard, "chat": self._chat, "smpp": self._text, "import": self._table,
            "tus": self._file, "push": self._push, "pull": self._feed, "fax": self._fax,
        }  # fmt: skip
        return {name: self._noting(row) for name, row in rows.items()}

    def _noting(self, row: Door) -> Door:
        def send(made: House, marker: str, n: int) -> None:
            row(made, marker, n)
            self._sent[marker] = n

        return send

    def _call(self, made: House, marker: str, n: int) -> None:
        """A caller who says his marker as the place; every second hangs up somewhere. All posts again until answered."""
        settings, hangs_up_at = made.settings, n % (2 * len(STEPS))
        number, call = f"+86137{_number(marker):08d}", sid(marker)
        usual = {"AccountSid": settings.twilio_account_sid, "ApiVersion": "2010-04-01", "CallSid": call,
                 "CallStatus": "in-progress", "Direction": "inbound", "From": number, "To": settings.twilio_from}  # fmt: skip
        record = f"{settings.twilio_base_url}/2010-04-01/Accounts/{settings.twilio_account_sid}/Recordings/RE{call[2:]}"
        spoken = {
            "RecordingSid": f"RE{call[2:]}",
            "RecordingUrl": record,
            "RecordingDuration": "7",
            "Digits": "#",
        }
        said = {
            "menu": {"Digits": "1"},
            "place": {"SpeechResult": marker, "Confidence": "0.9"},
            "said": spoken,
        }
        posts = [("", usual | {"CallStatus": "ringing"})]
        posts += [(f"/{step}?l=zh-CN&t=0", usual | said[step]) for step in STEPS[: hangs_up_at or None]]
        posts.append(("/status", usual | {"CallStatus": "completed", "CallDuration": "40", "Duration": "1"}))
        for path, form in posts:
            url = f"{made.url}/hooks/voice/twilio{path}"
            status = asyncio.run(post_form(url, form, settings.twilio_auth_token.get_secret_value()))
            if status // 100 != 2:
                raise ConnectionError(status)

    def _switchboard(self, made: House, marker: str, n: int) -> None:
        """The three words of a call at the desk, each until it is answered."""
        for event in ("newCall", "answer", "hangup"):
            said = {"event": event, "from": "13800138000", "to": "12350", "direction": "in", "callId": marker}
            _post(
                f"{made.url}/hooks/cti/{CTI}", json.dumps(said).encode(), {"Content-Type": "application/json"}
            )

    def _chat(self, made: House, marker: str, n: int) -> None:
        """Posted until it hears 200; or it waits until the bot has asked past it."""
        chat = 5_000_000_000 + _number(marker)
        if not self.is_polled:
            update = chat_update(_number(marker), text=marker, chat=chat)
            secret = {"X-Telegram-Bot-Api-Secret-Token": SECRET, "Content-Type": "application/json"}
            _post(
                f"{made.url}/hooks/telegram", json.dumps(self._once(marker, lambda: update)).encode(), secret
            )
            return
        mine = self._once(marker, lambda: self.chat.say(marker, chat=chat))["update_id"]
        _wait(lambda: all(one["update_id"] != mine for one in list(self.chat.telegram.updates)))

    def _text(self, made: House, marker: str, n: int) -> None:
        """By the SMS centre, every third in parts: each part until it is answered with 0."""
        text = marker if n % 3 else f"{marker} {'大坪村山塌了' * 20}"
        coding, parts = sms_parts.cut(text, reference=n % 250 + 1)
        more = {"esm_class": sms_parts.UDHI} if len(parts) > 1 else {}
        done = self._once(marker, list)
        for part in parts[len(done) :]:
            number = f"86136{_number(marker):08d}"
            if self.centre.deliver(source=number, data_coding=coding, message=part, **more):
                raise ConnectionError("not taken")
            done.append(part)

    def _table(self, made: House, marker: str, n: int) -> None:
        """A file of rows, one of them wrong; whole again until its verdicts come."""
        name = marker.replace(" ", ".")
        rows = [{"external_id": name, "text": marker}, {"external_id": f"{name}.bad", "text": ""}]
        rows += [{"external_id": f"{name}.{k}", "text": f"row {k} of {name}"} for k in range(FILLERS)]
        body = "\n".join(json.dumps(row) for row in rows).encode()
        kind = {"Content-Type": "application/x-ndjson", "Authorization": f"Bearer {made.secrets.department}"}
        told = json.loads(_post(f"{made.url}/v1/reports:import", body, kind))
        assert (told["created"] + told["repeated"], told["refused"]) == (FILLERS + 1, 1), told

    def _file(self, made: House, marker: str, n: int) -> None:
        """A report, then a file to it in three parts, which goes on where the hub says it ends (tus 1.0.0)."""
        name = marker.replace(" ", ".")
        key, tus = {"Idempotency-Key": name}, {"Tus-Resumable": "1.0.0"}
        report = made.api("POST", "/v1/reports", {"text": marker}, key="department", **key)["id"]
        about = {
            "Upload-Length": str(len(FILE)),
            "Upload-Metadata": f"filename {base64.b64encode(name.encode()).decode()}",
        }
        bearer = {"Authorization": f"Bearer {made.secrets.department}"} | tus
        here = _ask("POST", f"{made.url}/v1/reports/{report}/attachments", b"", bearer | key | about).headers[
            "Location"
        ]
        data = _file_of(name)
        while (got := int(_ask("HEAD", f"{made.url}{here}", None, bearer).headers["Upload-Offset"])) < len(
            data
        ):
            end = next(part for part in PARTS if part > got)
            kind = {"Upload-Offset": str(got), "Content-Type": "application/offset+octet-stream"}
            _ask("PATCH", f"{made.url}{here}", data[got:end], bearer | kind)

    def _push(self, made: House, marker: str, n: int) -> None:
        """A peer's alert: the same bytes again until they are taken."""
        data = self._once(
            marker, lambda: bulletin_kit.xml(_slug(marker), datetime.now(UTC).replace(microsecond=0))
        )
        kind = {"Content-Type": "application/cap+xml", "Authorization": f"Bearer {self.peer_key}"}
        _post(f"{made.url}/v1/bulletins", data, kind)

    def _feed(self, made: House, marker: str, n: int) -> None:
        """One more entry in a peer's feed, which the hub fetches by itself: nobody tells the peer, so it is there at rest."""
        self._once(marker, lambda: self._publish(marker))

    def is_quiet(self, unit: Unit) -> bool:
        """Whether all that was put into the feed has been fetched; a worker that died keeps its turn for 150 s."""
        rows = unit.rows(sa.select(bulletin.c.identifier))
        named = {_slug(marker) for marker in list(self._asked) if marker.startswith("pull ")}
        return named <= {row.identifier for row in rows}

    def _publish(self, marker: str) -> str:
        at = datetime.now(UTC).replace(microsecond=0)
        url = self.site.put(
            f"/{_slug(marker)}.xml", bulletin_kit.xml(_slug(marker), at), kind="application/cap+xml"
        )
        named = [f"{self.site.url}{path}" for path in self.site.pages if path.endswith(".xml")]
        self.site.put("/alerts.atom", atom([(one, f"{at:%Y-%m-%dT%H:%M:%SZ}") for one in named]),
                      kind="application/atom+xml")  # fmt: skip
        return url

    def _fax(self, made: House, marker: str, n: int) -> None:
        """A file in the folder, until the hub has put it aside."""

        def drop() -> Path:
            path = self.fax_dir / f"{_slug(marker)}.tif"
            path.with_suffix(".tmp").write_bytes(fax_kit.tiff(1, caller=marker, seed=n * 40))
            return path.with_suffix(".tmp").rename(path)

        path = self._once(marker, drop)
        _wait(lambda: not path.exists(), 8.0)  # it is left alone for four seconds first

    def _once(self, marker: str, begin: Callable[[], Any]) -> Any:
        if marker not in self._asked:
            self._asked[marker] = begin()
        return self._asked[marker]

    def taken(self) -> frozenset[str]:
        """What the spare provider of SMS has taken, under the names that the hub knows."""
        return frozenset(
            smpp_deliver.provider_id(str(one.number), "same", is_receipt=False)
            for one in list(self.centre.smsc.taken)
        )

    def found(self, unit: Unit) -> list[str]:
        """The markers of everything that came by these doors, each as often as it stands there."""
        i = t.inbound.c
        calls = (
            sa.select(i.external_id)
            .join(t.report_row, t.report_row.c.id == i.report)
            .where(i.channel == "voice")
        )
        named = [_marker(row.external_id) for row in unit.rows(calls) if "/" not in row.external_id]
        named += [row.call_id for row in unit.rows(sa.select(ring.c.call_id))]
        named += [row.identifier.replace("_", " ") for row in unit.rows(sa.select(bulletin.c.identifier))]
        faxes = sa.select(i.report).where(i.channel == "fax", i.state == "filed")
        for row in unit.rows(faxes):
            report = reports.get(unit, row.report)
            named += (
                [one.name.removesuffix(".tif").replace("_", " ") for one in report.content.attachments]
                if report
                else []
            )
        return named

    def broken(self, unit: Unit) -> list[str]:
        """What was answered and is not whole: words of a call, rows of a table, the file of a report."""
        of_text = _by_marker(unit)
        found: list[str] = []
        for marker, n in self._sent.items():
            kind, said = marker.partition(" ")[0], of_text.get(marker, {})
            if kind == "voice":
                found += _of_call(unit, marker, n)
            elif kind == "cti":
                row = unit.row(sa.select(ring).where(ring.c.call_id == marker))
                if row is None or row.answered_at is None or row.ended_at is None:
                    found.append(f"I1 a word of {marker!r} is lost")
            elif kind == "tus" and said.get("files") != [len(FILE)]:
                found.append(f"I2 {marker!r} has the files {said.get('files')}")
            elif kind == "import":
                name = marker.replace(" ", ".")
                count = sum(
                    of_text.get(f"row {k} of {name}", {}).get("count", 0) == 1 for k in range(FILLERS)
                )
                if count != FILLERS:
                    found.append(f"I2 {count} of {FILLERS} rows of {marker!r} are there once")
        return found


@contextmanager
def outside(directory: Path, *, is_polled: bool) -> Iterator[Outside]:
    """It lives in this process, which no kill of a hub ends."""
    (directory / "fax").mkdir(parents=True)
    with chats() as chat, centre() as smsc, peer_site() as site:
        yield Outside(chat=chat, centre=smsc, site=site, fax_dir=directory / "fax", is_polled=is_polled)


def _of_call(unit: Unit, marker: str, n: int) -> Iterator[str]:
    """Every word that was answered is in the one report of its call."""
    i, heard = t.inbound.c, (n % (2 * len(STEPS))) or len(STEPS)
    row = unit.row(sa.select(i.report).where(i.channel == "voice", i.external_id == sid(marker)))
    report = reports.get(unit, row.report) if row else None
    facts = report.content.facts if report else {}
    wanted = {"call_ended": True, "place": heard >= 2, "recording": heard >= 3}
    for name, is_there in wanted.items():
        if len(facts.get(name, ())) != int(is_there):
            yield f"I1 {marker!r}: {len(facts.get(name, ()))} of {name} after {heard} steps"
    if heard >= 2 and facts.get("place") and facts["place"][0].value != marker:
        yield f"I1 {marker!r} said another place: {facts['place'][0].value!r}"


def _by_marker(unit: Unit) -> dict[str, dict[str, Any]]:
    """Text of a report -> how many say it, and the sizes of their files."""
    found: dict[str, dict[str, Any]] = {}
    for row in unit.rows(sa.select(t.report_row.c.id)):
        report = reports.get(unit, row.id)
        if report is None:
            continue
        one = found.setdefault(report.content.text, {"count": 0, "files": []})
        one["count"] += 1
        one["files"] += [attachment.size for attachment in report.content.attachments]
    return found


def _file_of(name: str) -> bytes:
    return name.encode() + FILE[len(name.encode()) :]


def sid(marker: str) -> str:
    """The CallSid of a marker."""
    return "CA" + marker.encode().hex().rjust(32, "0")[-32:]


def _marker(sid: str) -> str:
    return bytes.fromhex(sid[2:]).lstrip(b"\0").decode("ascii", "replace")


def _number(marker: str) -> int:
    return zlib.crc32(marker.encode()) % 10**8


def _slug(marker: str) -> str:
    return marker.replace(" ", "_")


def _wait(claim: Callable[[], bool], seconds: float = _CONFIRMED_WITHIN) -> None:
    """Raises TimeoutError when it does not come true; whoever asked insists."""
    end = time.monotonic() + seconds
    while not claim():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.05)


def _post(url: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    return bytes(_ask("POST", url, body, headers).read())


def _ask(method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Any:
    """The answer, if it is a 2xx. Raises ConnectionError with the status else."""
    request = urllib.request.Request(url, body, dict(headers), method=method)
    try:
        return urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        with contextlib.closing(error):
            raise ConnectionError(f"{method} {url}: {error.code} {error.read()[:300]!r}") from None
