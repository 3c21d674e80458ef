"""`tocsin doctor`: every check, what it found, and the command that repairs it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from rich.console import Console

from domain.errors import HubError
from hub import birth, keys
from hub.settings import Settings
from store import condition
from tocsin import checks_machine, checks_rows
from tocsin.finding import Case, Check, Finding, Level, fail

CHECKS: tuple[Check, ...] = (*checks_machine.CHECKS, *checks_rows.CHECKS)
_MARKS = {Level.OK: "[green]✓[/green]", Level.WARN: "[yellow]![/yellow]", Level.FAIL: "[red]✗[/red]"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One check and what it found; `is_fixed` when it was mended on the way."""

    check: Check
    finding: Finding
    is_fixed: bool = False

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "name": self.check.name, "zh": self.check.zh, "en": self.check.en,
            "level": self.finding.level.name.lower(), "says": self.finding.says,
            "repair": self.finding.repair, "fixed": self.is_fixed,
        }  # fmt: skip


def examine(
    settings: Settings, at: datetime, *, only: Iterable[str] = (), may_fix: bool = False
) -> list[Result]:
    """Run the checks named in `only`, or all; with `may_fix` mend what is safe, and look again."""
    wanted = set(only)
    chosen = [check for check in CHECKS if not wanted or check.name in wanted]
    with _opened(settings, at) as case:
        results = [Result(check=check, finding=_run(check, case)) for check in chosen]
    if not may_fix:
        return results
    mended = {r.check.name for r in results if r.finding.level is not Level.OK and r.check.fix is not None}
    with _opened(settings, at) as case:
        for result in results:
            if result.check.name in mended and result.check.fix is not None:
                result.check.fix(case)
    with _opened(settings, at) as case:  # a mended key may open the database that was shut
        again = [Result(check=check, finding=_run(check, case)) for check in chosen]
    return [replace(r, is_fixed=r.check.name in mended and r.finding.level is Level.OK) for r in again]


def show(results: Iterable[Result]) -> None:
    """Print them, each failing one with its command."""
    out = Console(highlight=False, soft_wrap=True)
    for result in results:
        fixed = " (fixed)" if result.is_fixed else ""
        names = f"{result.check.zh} {result.check.en}"
        out.print(f"{_MARKS[result.finding.level]} [bold]{names}[/bold]", end="  ")
        out.print(result.finding.says + fixed, markup=False)
        if result.finding.repair:
            out.print(f"    {result.finding.repair}", markup=False, style="cyan")


@contextmanager
def _opened(settings: Settings, at: datetime) -> Iterator[Case]:
    """The hub as far as it opens; looking must not make what is missing."""
    case = Case(settings=settings, at=at, keys=None, store=None, why="")
    try:
        made = keys.load(settings.data_dir / "keys", may_make=False)
        case = replace(case, keys=made)
    except HubError as error:
        yield replace(case, why=error.detail or error.code)
        return
    if not condition.answers(settings.database):
        yield replace(case, why="it does not answer")
        return
    store = birth.open_store(settings, made)
    try:
        yield replace(case, store=store)
    finally:
        store.close()


def _run(check: Check, case: Case) -> Finding:
    try:
        return check.run(case)
    except Exception as error:  # one broken check must not hide the others
        return fail(
            f"The check itself failed: {type(error).__name__}.", case.command(f"doctor --only {check.name}")
        )
