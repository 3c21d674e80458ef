"""The real resolver against name servers that hang, break, cut and lie (PROMISES H97)."""

import time
from datetime import timedelta
from pathlib import Path

import pytest

from channels.codecs.resolver import Resolver
from domain.errors import Refused
from domain.handling import Mode
from domain.sender import Verdict
from hub import senders
from hub.settings import Settings
from tests.corpus.hostile.mail_auth_kit import DEPARTMENT, PLAIN, signed, street, zone
from tests.corpus.hostile.name_server import BROKEN, CUT, GARBAGE, OTHER, SILENT, NameServer, name_server

FAILED = {"status": "failed", "records": []}
NONE = {"status": "none", "records": []}


def _ask(
    server: NameServer, *questions: tuple[str, str], within: float = 0.6
) -> dict[str, dict[str, object]]:
    return Resolver(servers=(("127.0.0.1", server.port),)).ask(questions, within=timedelta(seconds=within))


def _quoted(text: str) -> str:
    """As in a zone file: strings of at most 255 letters."""
    return " ".join(f'"{text[at : at + 200]}"' for at in range(0, len(text), 200))


def test_answers_of_every_kind_come_back_as_text() -> None:
    records: dict[str, list[str] | str] = {
        "TXT a.example": ['"v=spf1 " "-all"', '"other"'], "MX a.example": ["10 mx.a.example."], "A a.example": ["192.0.2.7"],
        "AAAA a.example": ["2001:db8::7"], "TXT empty.example": [],
    }  # fmt: skip
    with name_server(records) as server:
        kinds = ("TXT", "MX", "A", "AAAA")
        found = _ask(
            server, *((kind, "a.example") for kind in kinds), ("TXT", "empty.example"), ("TXT", "no.example")
        )
    assert sorted(found["TXT a.example"]["records"]) == ["other", "v=spf1 -all"]
    assert found["MX a.example"]["records"] == ["mx.a.example."]
    assert found["A a.example"]["records"] == ["192.0.2.7"]
    assert found["AAAA a.example"]["records"] == ["2001:db8::7"]
    assert found["TXT empty.example"] == found["TXT no.example"] == NONE


@pytest.mark.parametrize("way", [SILENT, BROKEN, GARBAGE, OTHER])
def test_h97_a_name_server_that_fails_holds_nobody_up_and_is_no_answer(way: str) -> None:
    with name_server({"TXT bad.example": way, "TXT good.example": ['"here"']}) as server:
        began = time.monotonic()
        found = _ask(server, ("TXT", "bad.example"), ("TXT", "good.example"))
        took = time.monotonic() - began
    assert found["TXT bad.example"] in (FAILED, NONE)
    assert found["TXT bad.example"] == (NONE if way == OTHER else FAILED)
    assert found["TXT good.example"]["records"] == ["here"]  # all at once: the hanging one delays no other
    assert took < 3


def test_h97_a_cut_answer_is_asked_for_again_over_tcp() -> None:
    with name_server({"TXT long.example": CUT}) as server:
        assert _ask(server, ("TXT", "long.example"), within=2)["TXT long.example"]["records"] == ["whole"]
        assert server.asked == ["udp TXT long.example", "tcp TXT long.example"]


def test_h97_without_time_or_a_server_nothing_is_known() -> None:
    with name_server({"TXT a.example": ['"here"']}) as server:
        assert _ask(server, ("TXT", "a.example"), within=0)["TXT a.example"] == FAILED
        assert server.asked == []
    assert _ask(server, ("TXT", "a.example"))["TXT a.example"] == FAILED  # nobody listens there any more


@pytest.mark.parametrize("name", ["a..example", "x" * 64 + ".example", "a.example\x00", ""])
def test_names_that_are_none_are_no_answer(name: str) -> None:
    with name_server({}) as server:
        assert _ask(server, ("TXT", name))[f"TXT {name}"]["records"] == []


def test_h96_h97_a_mail_is_verified_over_a_real_wire_and_three_seconds_are_the_end(
    sqlite_model: Path, tmp_path: Path
) -> None:
    answers: dict[str, list[str] | str] = {name: [_quoted(texts[0])] for name, texts in zone().items()}
    key_at = f"TXT s1._domainkey.{DEPARTMENT}"
    with name_server(answers) as server:
        settings = {"model": sqlite_model, "dns_servers": f"127.0.0.1:{server.port}"}
        with street(tmp_path / "data", **settings) as there:
            first = there.send(signed())
            there.checker.check(first)
            assert there.report(first).sender.verdict is Verdict.VERIFIED  # type: ignore[union-attr]
            answers[key_at] = SILENT
            second = there.send(signed(PLAIN.replace(b"<1@", b"<2@")))
            began = time.monotonic()
            there.checker.check(second)
            assert time.monotonic() - began < 3 + 2  # s; two for the children on a busy machine
            found = there.report(second).sender
            assert found and found.verdict is Verdict.UNCHECKED and there.report(second).trust == 0
            assert there.due() == []  # not now; in a minute


@pytest.mark.parametrize("servers", ["192.0.2.53", "127.0.0.1, [2001:db8::53]:5353"])
def test_an_exercise_asks_no_name_server_beyond_this_machine(tmp_path: Path, servers: str) -> None:
    settings = Settings(data_dir=tmp_path, dns_servers=servers)
    with pytest.raises(Refused) as refused:
        senders.checker(settings, Mode.EXERCISE, store=None, blobs=None, clock=None)  # type: ignore[arg-type]
    assert refused.value.code == "mode_forbids_wire"


@pytest.mark.parametrize("servers", ["dns.example", "10.0.0.53:0x", "10.0.0.53:99999", "[::1", "1.2.3.4.5"])
def test_a_name_server_is_an_address(servers: str) -> None:
    with pytest.raises(ValueError):
        Settings(dns_servers=servers)
    assert Settings(dns_servers="10.0.0.53, ::1,[::1]:5353").name_servers == (
        ("10.0.0.53", 53), ("::1", 53), ("::1", 5353),
    )  # fmt: skip
