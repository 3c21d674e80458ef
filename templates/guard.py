"""What a template may be made of: an allow-list over its syntax tree (PROMISES H66, H67).

The sandbox of Jinja keeps a template from our objects; it does not keep `'a' * 10**9` or a loop in a loop from our
memory. A message needs words, values, choices and short lists. What is not on the list is refused before it is
compiled, and what somebody hands in is compiled and rendered in a child all the same.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jinja2 import ChainableUndefined, TemplateError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from domain.errors import BadInput, Flaw

SOURCE = 16 << 10  # characters; ours have at most 3,300
CALLS = 40  # of macros in one template
NUMBER = 10_000  # the largest constant: a metre, a minute, a count
FILTERS = frozenset(
    ("stamp", "moment", "iso", "flow", "spoken", "clock", "spoken_clock", "capitalize", "length", "upper", "e", "escape")
)  # fmt: skip
METHODS = frozenset({"partition"})
_PLAIN = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Getattr, nodes.Getitem, nodes.If, nodes.CondExpr,
    nodes.Compare, nodes.Operand, nodes.Or, nodes.And, nodes.Not, nodes.Assign, nodes.List, nodes.Tuple, nodes.Dict,
    nodes.Pair,
)  # fmt: skip
_OF_PACKAGE = re.compile(r"[a-z_]{1,40}/[0-9]{1,4}/[A-Za-z_.-]{1,60}")


def check(source: str) -> list[Flaw]:
    """What the template may not hold; pointers are lines. Nothing is compiled."""
    if len(source) > SOURCE:
        return [Flaw("1", f"at most {SOURCE} characters")]
    try:
        tree = ImmutableSandboxedEnvironment().parse(source)
    except (TemplateError, RecursionError, ValueError, OverflowError) as error:
        return [Flaw(str(getattr(error, "lineno", 1)), f"does not parse: {type(error).__name__}")]
    return [Flaw(str(line), detail) for line, detail in dict.fromkeys(_flaws(tree))]


def trial(data: bytes, options: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """For the sandbox: ``{"text"}`` of a template that somebody hands in, '' without ``options["values"]``.

    Values are data: what they hold is printed. Raises BadInput(bad_template) with the flaws.
    """
    source = data.decode("utf-8", "replace")
    if flaws := check(source):
        raise BadInput("the template holds what it may not", code="bad_template", flaws=flaws)
    return {"text": rendered(source, options["values"]) if "values" in options else ""}, []


def rendered(source: str, values: Mapping[str, Any]) -> str:
    """The text, unchecked: whoever calls this is a child under limits. Raises BadInput(bad_template)."""
    env = ImmutableSandboxedEnvironment(undefined=ChainableUndefined)
    env.globals.clear()
    try:
        return env.from_string(source).render(values)
    except (TemplateError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise BadInput(f"does not render: {type(error).__name__}", code="bad_template") from None


def _flaws(tree: nodes.Template) -> Iterator[tuple[int, str]]:
    for node in tree.find_all(nodes.Node):
        judge = _JUDGES.get(type(node))
        detail = (
            judge(node)
            if judge
            else ""
            if isinstance(node, _PLAIN)
            else f"{type(node).__name__} is not used here"
        )
        if detail:
            yield node.lineno or 1, detail
    if sum(1 for _ in tree.find_all(nodes.Call)) > CALLS:
        yield 1, f"at most {CALLS} calls"
    macros = list(tree.find_all(nodes.Macro))
    leaves: set[str] = set()  # macros above that call no other of this template: no circle, and no doubling
    for macro in macros:
        called = {c.node.name for c in macro.find_all(nodes.Call) if isinstance(c.node, nodes.Name)}
        called &= {m.name for m in macros}
        if not called <= leaves:
            yield macro.lineno, "a macro calls only those above it that call none"
        elif not called:
            leaves.add(macro.name)
    for loop in tree.find_all(nodes.For):
        if any(True for part in loop.body for _ in _loops(part)):
            yield loop.lineno, "no loop in a loop"


def _loops(node: nodes.Node) -> Iterator[nodes.Node]:
    if isinstance(node, nodes.For):
        yield node
    yield from node.find_all(nodes.For)


def _const(node: Any) -> str:
    value = node.value
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return ""
    return "" if isinstance(value, int) and abs(value) <= NUMBER else "a number that no message needs"


def _add(node: Any) -> str:
    """Counting: something + a number, or a choice of two numbers."""
    right = node.right
    parts = (right.expr1, right.expr2) if isinstance(right, nodes.CondExpr) else (right,)
    is_count = all(isinstance(part, nodes.Const) and type(part.value) is int for part in parts)
    return "" if is_count else "only a number is added"


def _name(text: str) -> str:
    return "names beginning with _ are not for templates" if text.startswith("_") else ""


def _call(node: Any) -> str:
    """A macro by its name, or one of METHODS."""
    if node.dyn_args or node.dyn_kwargs:
        return "no * in a call"
    if isinstance(node.node, nodes.Getattr):
        return "" if node.node.attr in METHODS else f".{node.node.attr[:40]}() is not called here"
    return "" if isinstance(node.node, nodes.Name) else "only macros are called"


def _for(node: Any) -> str:
    is_named = isinstance(node.iter, nodes.Name | nodes.Getitem | nodes.Getattr)
    return "" if is_named and not node.recursive else "a loop goes over a named list"


def _import(node: Any) -> str:
    place = node.template
    is_ours = (
        isinstance(place, nodes.Const) and isinstance(place.value, str) and _OF_PACKAGE.fullmatch(place.value)
    )
    return "" if is_ours else "only templates beside it are imported"


_JUDGES: Mapping[type[nodes.Node], Callable[[Any], str]] = {
    nodes.Const: _const,
    nodes.Add: _add,
    nodes.Call: _call,
    nodes.For: _for,
    nodes.FromImport: _import,
    nodes.Macro: lambda node: _name(node.name),
    nodes.Name: lambda node: _name(node.name),
    nodes.Getattr: lambda node: _name(node.attr),
    nodes.Getitem: lambda node: _name(str(node.arg.value)) if isinstance(node.arg, nodes.Const) else "",
    nodes.Filter: lambda node: "" if node.name in FILTERS else f"no filter {node.name[:40]}",
}
