"""What `tocsin bench` shows: progress while it measures, then a table; or lines of JSON."""

import json
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tocsin.benches import Sizes, run
from tocsin.benches.figure import Figure

COLUMNS = ("figure", "store", "measured", "ceiling", "ratio", "reach", "against")


def show(sizes: Sizes, *, only: str, stores: tuple[str, ...], as_json: bool) -> int:
    """Measure and show; how many figures are not what they shall be."""
    found: list[Figure] = []
    columns = (TextColumn("{task.description:24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:

        def told(name: str, store: str, steps: int) -> Callable[[], None]:
            task = progress.add_task(f"{name} ({store})", total=max(steps, 1))
            return lambda: progress.advance(task)

        for figure in run(sizes, only=only, stores=stores, told=told):
            found.append(figure)
            if as_json:
                print(json.dumps(figure.to_json(), ensure_ascii=False), flush=True)
    if not as_json:
        Console().print(_table(found))
    return sum(not figure.is_reached for figure in found)


def _table(figures: list[Figure]) -> Table:
    table = Table(*COLUMNS, box=None, pad_edge=False)
    for figure in figures:
        row = figure.to_json()
        mark = "[green]✓[/] " if figure.is_reached else "[red]✗[/] "
        table.add_row(f"{mark}{figure.name}", figure.store, f"{_number(figure.value)} {figure.unit}",
                      _number(figure.ceiling), f"{figure.ratio:.2f}", str(row["reach"]), figure.against)  # fmt: skip
    return table


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
