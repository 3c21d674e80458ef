"""`tocsin cap`: what others and we write in the Common Alerting Protocol, checked."""

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from domain.errors import BadInput
from tocsin import cap_files
from tocsin.given import Json

app = typer.Typer(no_args_is_help=True, help="Common Alerting Protocol.")
_LEVELS = ("error", "warning", "note")


@app.callback()
def _group() -> None:
    """Common Alerting Protocol."""


@app.command()
def validate(
    paths: Annotated[list[str], typer.Argument(help="Files, directories, or - for the standard input.")],
    as_json: Json = False,
    output: Annotated[bool, typer.Option(help="Also check what we demand of our own alerts.")] = False,
) -> None:
    """Check CAP files against the schema and the rules CAP-R01 to CAP-R38.

    Alerts of CAP 1.1 and 1.2, feeds and envelopes with alerts in them. With --json one object a line and file:
    file, wellformed, version, xsd_valid, alerts, findings (rule, level, line, message, path).

    Exit code 0: no error. 1: an error was found. 2: a file cannot be opened, or the command is wrong.
    """
    try:
        files = cap_files.sources(paths)
    except BadInput as error:
        raise typer.BadParameter(error.detail) from None
    rows = []
    for row in cap_files.verdicts(files, as_output=output):
        rows.append(row)
        print(json.dumps(row, ensure_ascii=False) if as_json else _lines(row), end="\n" if as_json else "")
        if "unreadable" in row:
            print(f"tocsin: {_plain(row['file'])}: {row['unreadable']}", file=sys.stderr)
    if not as_json:
        _table(rows)
    is_bad = any(finding["level"] == "error" for row in rows for finding in row["findings"])
    raise typer.Exit(2 if any("unreadable" in row for row in rows) else 1 if is_bad else 0)


def _lines(row: Mapping[str, Any]) -> str:
    """``FILE:LINE: level RULE message (path)``, a line each, as editors understand it."""
    return "".join(
        _plain(f"{row['file']}:{f['line']}: {f['level']} {f['rule']} {f['message']}")
        + (f" ({_plain(f['path'])})\n" if f["path"] else "\n")
        for f in row["findings"]
    )


def _table(rows: Sequence[Mapping[str, Any]]) -> None:
    table = Table("file", "version", "XML", "schema", "errors", "warnings", "notes", box=None)
    for row in rows:
        count = Counter(f["level"] for f in row["findings"])
        table.add_row(
            Text(_plain(row["file"]), overflow="fold"),
            Text(_plain(row["version"]) or "-"),
            "well-formed" if row["wellformed"] else "broken",
            "valid" if row["xsd_valid"] else "not valid",
            *(str(count[level]) for level in _LEVELS),
        )
    Console(width=None if sys.stdout.isatty() else 200).print(table)  # in a file nothing is cut to 80 columns


def _plain(text: str) -> str:
    """A stranger's words cannot steer the terminal."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
