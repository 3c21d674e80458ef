"""Templates that reach for more than words, and values that look like templates."""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from jinja2 import DictLoader

from domain.errors import BadInput
from sandbox.pool import Pool
from templates import guard, library
from tests.corpus.hostile.unchecked import unchecked
from tests.web.api_world import World

ROOT = Path(__file__).resolve().parents[3]
REACH = [
    "{{ ''.__class__ }}", "{{ ''.__class__.__mro__[1].__subclasses__() }}", "{{ x|attr('__class__') }}",
    "{{ lipsum.__globals__ }}", "{{ cycler.__init__.__globals__.os.popen('id').read() }}", "{{ x['__class__'] }}",
    "{{ '{0.__class__}'.format(x) }}", "{{ '%s'|format(x) }}", "{{ x.format_map(y) }}", "{{ [x]|map(attribute='_y') }}",
    "{{ self._TemplateReference__context }}", "{{ x|map('attr', '_y')|list }}", "{% import 'x' as y %}",
    "{% include '../../../etc/passwd' %}", "{% from '../secret' import x %}", "{% from x import y %}",
    "{% extends 'x' %}", "{% block x %}{% endblock %}", "{% set __x = 1 %}{{ __x }}",
]  # fmt: skip
BOMBS = [
    "{{ '%1000000000d'|format(1) }}", "{{ 'a'*10**9 }}", "{{ 'a'.center(200000000) }}", "{{ 9**9**9 }}",
    "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}", "{{ 1000000000 }}",
    "{% for a in x %}{% for b in x %}{{ b }}{% endfor %}{% endfor %}", "{{ 'a'|center(200000000) }}", "{{ x ~ x }}",
    "{% set a = 'aaaaaaaa' %}" + "{% set a = a + a %}" * 40, "{{ 'a'|indent(999999999) }}", "{{ 1 << 999999999 }}",
    "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}", "{{ '" + "x" * (1 << 20) + "' }}", "{{ " + "(" * 5000 + "1",
    "{% macro a() %}x{% endmacro %}" + "".join(
        f"{{% macro a{n}() %}}" + "{{ a" + (str(n - 1) if n else "") + "() }}" * 3 + "{% endmacro %}" for n in range(12)),
    "{{ x|tojson|wordwrap(1) }}", "{{ x|batch(1)|list }}", "{% for a in y recursive %}{{ loop(y) }}{% endfor %}",
]  # fmt: skip
PLAIN = [
    "{{ 7*7 }}",
    "{% x %}",
    "%s %d %(x)s",
    "$x ${x}",
    "{0} {0.__class__} {x!r}",
    "<b>'&\"",
    "{{ fields.__class__ }}",
]


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    opened = Pool(wall=timedelta(seconds=3), cpu=timedelta(seconds=2), memory_bytes=256 << 20)
    yield opened
    opened.close()


@pytest.mark.parametrize("source", REACH)
def test_h66_a_template_that_reaches_for_objects_is_refused_before_it_is_compiled(
    pool: Pool, source: str
) -> None:
    with pytest.raises(BadInput) as caught:
        pool.run(guard.trial, source.encode(), {"values": {"x": "value", "y": ["value"]}})
    assert caught.value.code == "bad_template" and caught.value.flaws


@pytest.mark.parametrize("source", REACH)
def test_h66_what_the_list_would_let_through_the_sandbox_of_jinja_keeps_in(source: str) -> None:
    try:
        text = guard.rendered(source, {"x": "value", "y": ["value"]})
    except BadInput:
        return
    assert not any(word in text for word in ("class", "object at", "root:", "uid=", "module"))


@pytest.mark.parametrize("source", BOMBS, ids=lambda s: s[:40])
def test_h67_a_template_that_grows_is_refused_at_once(source: str) -> None:
    began = time.monotonic()
    assert guard.check(source)
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("source", BOMBS, ids=lambda s: s[:40])
def test_h67_behind_the_list_a_bomb_dies_alone_in_its_child(pool: Pool, source: str) -> None:
    began = time.monotonic()
    try:
        pool.run(unchecked, source.encode())
    except BadInput as error:
        assert error.code in ("bad_template", "parser_memory", "parser_timeout", "parser_crashed")
    assert time.monotonic() - began < 10
    assert pool.run(guard.trial, b"{{ x }}", {"values": {"x": "still here"}}).value["text"] == "still here"


def test_h67_every_template_of_the_package_is_of_the_list_and_one_that_is_not_is_not_loaded(
    monkeypatch,
) -> None:
    ours = [p for p in (ROOT / "templates/messages").rglob("*") if p.suffix in (".txt", ".html")]
    assert len(ours) > 100 and [p.name for p in ours if guard.check(p.read_text())] == []
    # The package holds no bad template: one is put in the place of all.
    monkeypatch.setattr(library, "_source", lambda _name: "{{ 'a'*10**9 }}")
    env = library._environment.__wrapped__()
    assert not isinstance(env.loader, DictLoader)
    with pytest.raises(BadInput):
        env.get_template("any/1/sms.en.txt")


@pytest.mark.parametrize("value", PLAIN)
def test_h68_a_value_that_looks_like_a_template_is_printed_as_it_stands(pool: Pool, value: str) -> None:
    assert pool.run(guard.trial, b"[{{ x }}]", {"values": {"x": value}}).value["text"] == f"[{value}]"


@pytest.mark.parametrize("value", [v for v in PLAIN if "<" not in v])  # CAP holds no tags: refused at submit
def test_h68_what_an_officer_types_reaches_the_frozen_text_as_it_stands(quick: World, value: str) -> None:
    shown = {t["id"]: t for t in quick.get("officer", "/v1/templates").json()["data"]}["utility_outage"]
    wanted = next(f["name"] for f in shown["fields"] if f["type"] == "text" and f["name"].endswith("_zh"))
    body = shown["example"] | {"areas": ["990101000000"]}
    body["fields"] = body["fields"] | {wanted: value}
    made = quick.post("officer", "/v1/releases", body)
    assert made.status_code == 201, made.text
    submitted = quick.post("officer", f"{made.headers['location']}/submit", key=None)
    assert submitted.status_code == 200, submitted.text
    texts = [quick.get("officer", a["href"]).content.decode() for a in submitted.json()["artefacts"]
             if a["channel"] == "sms"]  # fmt: skip
    assert any(value in text for text in texts)
