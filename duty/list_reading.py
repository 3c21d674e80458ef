"""A list of recipients is read in the sandbox, compared, and stored out of sight; whole or not at all."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from domain.errors import BadInput, Conflict, Flaw, HubError
from duty import addressbook, recipient_rows
from sandbox.pool import Pool
from store import areas, audience, operations, staging
from store.database import Store
from store.operations import Operation
from store.unit import Unit

LINES = 5_000  # read in one call of a child: 0.3 s, and mail waits no longer for its turn
ERRORS = 200  # listed; all are counted. Who has more mends the column, not the row
MOST_ROWS = 500_000  # more is no list that a person checked; it comes in parts
_DIVISIONS = 100_000  # 45,000 townships and everything above them
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_ZIP = b"PK\x03\x04"  # .xlsx


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """What reads a list here; `region` and `area_code` complete numbers without them."""

    store: Store
    pool: Pool
    region: str
    area_code: str
    clock: Callable[[], datetime]

    def read(self, operation: Operation, raw: bytes) -> None:
        """Do the work of an announced import. Nobody waits for it and nothing is raised:

        whatever goes wrong ends the operation with its reason, and what was stored is taken away.
        """
        _Run(self, operation).run(raw)


@dataclass(slots=True, kw_only=True)
class _Tally:
    """What is known of a list so far; with addressbook.BLANK it is the operation's result."""

    must_confirm: bool
    phase: str = "reading"
    reason: str = ""
    detail: str = ""
    encoding: str = ""
    rows: int = 0
    fresh: int = 0
    known: int = 0  # on the list already
    repeated: int = 0  # a second time in the file
    wrong: int = 0  # rows with an error
    version: int = 0  # list version under which the rows wait
    errors: list[list[Any]] = field(default_factory=list)  # [line, column, reason]
    error_count: int = 0


class _Run:
    """One run over one file."""

    def __init__(self, reader: Reader, operation: Operation) -> None:
        self._reader, self._store, self._operation = reader, reader.store, operation
        self._tally = _Tally(must_confirm=bool(operation.result["must_confirm"]))

    def run(self, raw: bytes) -> None:
        try:
            addressbook.tidy(self._store, self._reader.clock())  # no older rows may wait below our version
            rows = self._read(raw)
            self._keep(rows)
            self._finish()
        except BadInput as error:
            self._end(error.code, error.flaws[0].detail if error.flaws else "")
        except Conflict as error:  # given up by somebody meanwhile, or the list ran past it
            self._end(error.code)
        except HubError:
            self._end("unavailable")

    def _read(self, raw: bytes) -> list[dict[str, str]]:
        text, self._tally.encoding = decoded(raw)
        lines = text.split("\n")
        if len(lines) - 1 > MOST_ROWS:
            raise BadInput("too many rows", code="too_many_rows", flaws=[Flaw("/file", str(MOST_ROWS))])
        head = recipient_rows.head_of(lines[0].removesuffix("\r")[:2_000])
        places = self._store.read(_places)
        seen: set[tuple[str, ...]] = set()
        rows: list[dict[str, str]] = []
        for first in range(1, len(lines), LINES):
            part = "\n".join(lines[first : first + LINES]).encode()
            options = recipient_rows.options_of(
                head, first=first + 1, region=self._reader.region, area_code=self._reader.area_code
            )
            found = self._reader.pool.run(recipient_rows.read, part, options).value
            rows += self._checked(found, places, seen)
            self._say(done=min(first + LINES, len(lines)) - 1, total=len(lines) - 1)
        if not self._tally.rows:
            raise BadInput("there is no row below the head", code="no_rows")
        if self._tally.error_count:
            raise BadInput("some rows are wrong", code="rows_wrong")
        return rows

    def _checked(
        self, found: Mapping[str, Any], places: Mapping[str, str], seen: set[tuple[str, ...]]
    ) -> Iterator[dict[str, str]]:
        """The rows that are right and new in this file; the others are counted."""
        tally, errors = self._tally, list(found["errors"])
        tally.rows += len(found["rows"]) + len({line for line, _, _ in errors})
        for line, channel, address, area, language, group, name in found["rows"]:
            if area not in places:
                errors.append([line, "area", "unknown"])
                continue
            row = {"channel": channel, "address": address, "area": places[area], "language": language,
                   "group": group, "name": name}  # fmt: skip
            if audience.place(row) in seen:
                tally.repeated += 1
                continue
            seen.add(audience.place(row))
            yield row
        tally.wrong += len({line for line, _, _ in errors})
        tally.error_count += len(errors)
        tally.errors = sorted([*tally.errors, *errors])[:ERRORS]

    def _keep(self, rows: Sequence[dict[str, str]]) -> None:
        """Store what is not on the list yet, out of sight."""
        tally, at = self._tally, self._operation.created_at
        tally.phase, tally.version = "storing", self._store.read(staging.reserve)
        self._say(done=0, total=len(rows))  # the version is written down before the first row waits under it
        for first in range(0, len(rows), staging.PAGE):
            page = rows[first : first + staging.PAGE]
            known = self._store.read(_known_of(page))
            fresh = [row for row in page if audience.place(row) not in known]
            tally.known += len(page) - len(fresh)
            tally.fresh += len(fresh)

            def work(unit: Unit, fresh: list[dict[str, str]] = fresh, done: int = first + len(page)) -> None:
                self._step(unit, done=done, total=len(rows))  # first: a run that was given up stores no more
                if fresh:
                    staging.stage(unit, fresh, tally.version, at)

            self._store.run(work)

    def _finish(self) -> None:
        tally = self._tally
        tally.phase = "ready"

        def work(unit: Unit) -> None:
            self._step(unit, done=tally.rows, total=tally.rows)
            found = operations.get(unit, self._operation.id)
            if found and not tally.must_confirm:
                addressbook.put_in_force(unit, found, by=found.by, at=self._reader.clock())

        self._store.run(work)

    def _say(self, *, done: int, total: int) -> None:
        self._store.run(lambda unit: self._step(unit, done=done, total=total))

    def _step(self, unit: Unit, *, done: int, total: int) -> None:
        at, told = self._reader.clock(), asdict(self._tally)
        operations.step(unit, self._operation.id, at=at, done=done, total=total, result=told)

    def _end(self, reason: str, detail: str = "") -> None:
        """Write the reason down; where even that fails, tidy() ends it later as interrupted."""
        at, tally = self._reader.clock(), self._tally
        tally.reason, tally.detail = reason, detail

        def work(unit: Unit) -> None:
            found = operations.get(unit, self._operation.id, lock=True)
            if found and found.state == operations.RUNNING:
                told = replace(found, result=asdict(tally))
                addressbook.give_up(unit, told, reason, by=found.by, at=at)

        try:
            self._store.run(work)
            addressbook.tidy(self._store, at)
        except HubError:
            return


def _known_of(page: Sequence[Mapping[str, str]]) -> Callable[[Unit], set[tuple[str, ...]]]:
    return lambda unit: staging.known(unit, page)


def decoded(raw: bytes) -> tuple[str, str]:
    """(text, encoding): UTF-8 with or without its mark, else GB18030, which holds GBK and GB2312.

    Raises BadInput (``not_text``) with the offset of the first byte that fits in neither.
    """
    if raw.startswith((*_UTF16, _ZIP)):
        raise BadInput("a sheet is saved as CSV in UTF-8", code="not_csv")
    try:
        return raw.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError as error:
        first = error.start
    try:
        return raw.decode("gb18030"), "gb18030"
    except UnicodeDecodeError as error:
        at = f"byte {max(first, error.start)}"
        raise BadInput(
            f"neither UTF-8 nor GB18030 at {at}", code="not_text", flaws=[Flaw("/file", at)]
        ) from None


def _places(unit: Unit) -> dict[str, str]:
    """Code or name -> code; a name that two divisions bear names none."""
    rows = areas.listing(unit, limit=_DIVISIONS)
    names = Counter(row.name_zh for row in rows)
    alone = {row.name_zh: row.code for row in rows if names[row.name_zh] == 1}
    return alone | {row.code: row.code for row in rows}
