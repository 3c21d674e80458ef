"""The house rules that a linter cannot say."""

import ast
import re
import statistics
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
RULES = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
ROOMS = RULES["importlinter"]["root_packages"]


def _modules() -> Iterator[tuple[Path, ast.Module]]:
    for room in ROOMS:
        for file in sorted((ROOT / room).rglob("*.py")):
            yield file.relative_to(ROOT), ast.parse(file.read_text())


MODULES = list(_modules())
WRITTEN = [(path, tree) for path, tree in MODULES if "versions" not in path.parts]  # migrations are history


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_every_room_is_in_the_layers_and_no_layer_is_imaginary() -> None:
    on_disk = {p.parent.name for p in ROOT.glob("*/__init__.py") if p.parent.name != "tests"}
    layers = RULES["importlinter"]["contracts"][0]["layers"]
    in_layers = {room.strip() for layer in layers for room in layer.split("|")}
    assert on_disk == set(ROOMS) == in_layers
    assert set(RULES["hatch"]["build"]["targets"]["wheel"]["packages"]) == set(ROOMS)
    assert set(RULES["mypy"]["packages"]) == set(ROOMS)


def test_no_other_distribution_owns_the_name_of_a_room() -> None:
    owners = packages_distributions()
    assert {room: set(owners.get(room, ())) - {"tocsin"} for room in ROOMS} == {room: set() for room in ROOMS}


def test_nothing_is_imported_inside_a_function() -> None:
    found = [
        f"{path}:{node.lineno}"
        for path, tree in MODULES
        for function in _functions(tree)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert found == []


def test_every_module_says_its_job_first() -> None:
    assert [str(path) for path, tree in MODULES if not ast.get_docstring(tree)] == []


def test_nine_of_ten_public_functions_have_a_docstring() -> None:
    public = [
        (path, f) for path, tree in WRITTEN for top in ast.walk(tree) if isinstance(top, ast.Module | ast.ClassDef)
        if not getattr(top, "name", "").startswith("_")
        for f in top.body if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef) and not f.name.startswith("_")
    ]  # fmt: skip
    silent = [f"{path}:{f.name}" for path, f in public if not ast.get_docstring(f)]
    assert len(silent) <= 0.1 * len(public), silent


def test_files_keep_to_the_budget() -> None:
    lines = {str(path): len((ROOT / path).read_text().splitlines()) for path, _ in WRITTEN}
    assert {p: n for p, n in lines.items() if n > 500} == {}
    assert statistics.median(lines.values()) <= 120
    wires = [p for p in lines if p.startswith("channels/") and p.count("/") == 1]
    assert {p: lines[p] for p in wires if lines[p] > 250} == {}


def test_functions_keep_to_the_budget() -> None:
    lengths = {f"{path}:{f.name}": _length(f) for path, tree in WRITTEN for f in _functions(tree)}
    assert {name: n for name, n in lengths.items() if n > 60} == {}
    ordered = sorted(lengths.values())
    assert ordered[int(len(ordered) * 0.9)] <= 25


def test_actors_are_at_most_six_lines() -> None:
    path = Path("workers/actors.py")
    tree = dict(MODULES)[path]
    actors = [f for f in _functions(tree) if f.name == "run"]  # one serves for all
    assert len(actors) == 1
    for f in actors:
        body = [n for n in f.body if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))]
        assert sum((n.end_lineno or 0) - n.lineno + 1 for n in body) <= 6, f.name


WHOLE_STORE = {  # who in the desk and in /v1 works with the hub's own eyes, how often, and on what
    "web/api/bulletins.py": 2,  # a door, and shelves what it turns away
    "web/api/caller.py": 2,  # finds who asks, and which keys are in force still
    "web/api/follow_ups.py": 1,  # a door
    "web/api/idempotent.py": 2,  # a door: takes in what the sender may not be shown; his own stored answer
    "web/api/imports.py": 1,  # a door
    "web/api/recipients.py": 2,  # the address book tidies up
    "web/api/release_acts.py": 1,  # writes a refusal down
    "web/api/report_acts.py": 1,  # the same
    "web/api/uploads.py": 1,  # a door
    "web/console/calls.py": 3,  # the call slip, a door; the table of divisions
    "web/console/recipients.py": 4,  # the address book tidies up
    "web/console/release_acts.py": 1,  # in_session() lends it the officer's eyes
    "web/console/secrecy.py": 2,  # writes a refusal down; deletes the files of what was destroyed
    "web/console/stream.py": 2,  # finds who listens
    "web/console/visit.py": 3,  # finds who asks, writes a refusal down
}


def test_the_desk_and_the_interface_read_with_the_eyes_of_whoever_asks() -> None:
    """`hub.store` sees all; a page has `visit.store`, a program store_of(request), and what is made of them."""
    found: dict[str, int] = {}
    for path, _ in MODULES:
        if path.parts[:2] in (("web", "api"), ("web", "console")):
            whole = re.findall(r"hub(?:_of\(request\))?\.store\b(?!\.seen_by)", (ROOT / path).read_text())
            if whole:
                found[str(path)] = len(whole)
    assert found == WHOLE_STORE


def test_tests_patch_almost_nothing() -> None:
    tests = list((ROOT / "tests").rglob("test_*.py"))
    text = [file.read_text() for file in tests if file.name != "test_house.py"]
    count = sum(
        t.count("\ndef test_") + t.count("\nasync def test_") + t.count("    def test_") for t in text
    )
    patches = sum(t.count("monkeypatch.setattr") + t.count("mock.patch") + t.count("@patch") for t in text)
    assert patches <= 0.05 * count


@pytest.mark.parametrize("word", ["utils", "helpers", "common", "manager", "base"])
def test_no_module_is_named_after_nothing(word: str) -> None:
    assert [str(path) for path, _ in MODULES if path.stem == word] == []


def test_migrations_are_one_chain_in_the_order_of_their_numbers() -> None:
    """Whoever brings in a step that stands beside another gives it the next number, and the other as its base."""
    chain = [None]
    for file in sorted((ROOT / "store/migrations/versions").glob("m*.py")):
        said = {
            node.targets[0].id: node.value.value
            for node in ast.parse(file.read_text()).body
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Constant)
        }
        assert (said["revision"], said["down_revision"]) == (file.name[1:5], chain[-1]), file.name
        chain.append(said["revision"])


def test_the_table_of_words_can_be_read() -> None:
    tomllib.loads(
        (ROOT / "templates/locale/codes.toml").read_text()
    )  # two hands may have added one word each
