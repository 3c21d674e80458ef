"""Which test bears which promise (R), fault (F) or hostile input (H): read from the names of the tests.

``python -m tests.promise_table`` writes tests/PROMISES.md; tests/test_promises.py holds it against the names.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

TESTS = Path(__file__).resolve().parent
TABLE = TESTS / "PROMISES.md"
_BEARS = re.compile(r"^test_((?:[rfh]\d+_)+)")


def _span(letter: str, first: int, last: int) -> list[str]:
    return [f"{letter}{n}" for n in range(first, last + 1)]


BORNE = [  # what this version is held to
    *_span("R", 1, 9), "R12", "R13", *_span("R", 16, 22), "R33", "R34", "R35", "R36", "R38",
    *_span("F", 1, 12), *_span("F", 15, 23), *_span("F", 27, 31), "F35", "F39", *_span("F", 41, 45), "F48", "F49",
    *_span("H", 1, 68), "H76", "H77", *_span("H", 83, 86), "H92",
    *_span("H", 93, 98), *_span("H", 100, 106),
]  # fmt: skip


@cache
def borne() -> dict[str, list[str]]:
    """number -> ``file::test`` of every test that bears it, sorted."""
    found: dict[str, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for name in _tests(ast.parse(path.read_text())):
            if numbers := _BEARS.match(name):
                for number in numbers[1].upper().rstrip("_").split("_"):
                    found.setdefault(number, []).append(f"{path.relative_to(TESTS)}::{name}")
    return found


def _tests(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name


def table() -> str:
    """The page."""
    lines = [
        "# Which test bears which promise", "",
        "R: what the hub promises. F: a fault that is brought about. H: a hostile input. Made from the names of the tests by",
        "`python -m tests.promise_table`; `tests/test_promises.py` holds it against them.", "",
        "| number | tests |", "|---|---|",
    ]  # fmt: skip
    for number, tests in sorted(borne().items(), key=lambda one: (one[0][0], int(one[0][1:]))):
        lines.append(f"| {number} | {'<br>'.join(f'`{test}`' for test in tests)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TABLE.write_text(table())
