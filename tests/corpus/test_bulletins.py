"""Every alert of the corpora goes in by the door and by the puller: stored with its findings, or shelved with the reason."""

import csv
import re
from collections import Counter
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from store import arrivals, bulletins, peers, shelf
from store.tables_peers import bulletin, bulletin_arrival
from tests.corpora import corpora
from tests.intake.peer_server import atom, peer_site
from tests.web.api_world import World, world

OTHER = {
    "doctype",
    "encoding",
    "not_well_formed",
    "not_an_alert",
    "no_alerts",
    "control_characters",
    "too_deep",
}


def rows(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader((corpora() / name).read_text(encoding="utf-8").splitlines()))


def files() -> list[tuple[dict[str, str], Path]]:
    """Row and file, each file once."""
    found = {row["path"]: row for name in ("INDEX-cap.csv", "INDEX-capjson.csv") for row in rows(name)}
    return [(row, corpora() / path) for path, row in found.items()]


def kinds(path: Path) -> str:
    return "application/json" if path.suffix == ".json" else "application/cap+xml"


def read_all(hall: World) -> None:
    while waiting := hall.hub.store.read(lambda u: arrivals.due(u, hall.clock())):
        for arrival_id in waiting:
            hall.hub.peers.reader.read(arrival_id)


def test_every_file_goes_through_the_door_and_ends_stored_or_shelved(sqlite_model, tmp_path, at) -> None:
    with world(tmp_path / "data", at, model=sqlite_model) as hall:
        sent: list[tuple[dict[str, str], Any]] = []
        for n, (row, path) in enumerate(files()):
            body = path.read_bytes()
            if "expect=" in row["traits"]:  # all of these were made of one, and bear one name
                body = re.sub(rb"</identifier>", b"-%d</identifier>" % n, body, count=1)
            headers = hall.headers("peer", **{"Content-Type": kinds(path)})
            answer = hall.client.post("/v1/bulletins", content=body, headers=headers)
            assert answer.status_code in (200, 202, 422), (path, answer.text)
            assert (answer.status_code == 422) == (
                "doctype" in row["traits"] or b"<!DOCTYPE" in path.read_bytes()[:600]
            )
            if answer.status_code == 202:
                sent.append((row, answer))
        read_all(hall)
        ends: Counter[str] = Counter()
        for row, answer in sent:
            told = hall.get("peer", answer.headers["location"]).json()
            ends[told["state"]] += 1
            assert told["state"] in ("read", "shelved"), row["path"]
            assert (told["state"] == "shelved") == bool(told["reason"]), row["path"]
            assert not told["reason"] or told["reason"] in OTHER, (row["path"], told["reason"])
            if row.get("wellformed") == "True" and row.get("kind") == "cap":
                assert told["state"] == "read", (row["path"], told["reason"])
            for rule in (
                t[len("expect=") :][:3] for t in row["traits"].split(";") if t.startswith("expect=R")
            ):
                if not told["bulletins"]:  # in UTF-16 its name could not be changed
                    assert "utf16" in row["path"]
                    continue
                (one,) = told["bulletins"]
                whole = hall.get("officer", one["links"]["self"]).json()
                assert f"CAP-{rule}" in {f["rule"] for f in whole["findings"]}, row["path"]
        assert ends["read"] >= 280
        assert ends["shelved"] <= 20
        assert hall.count(bulletin) >= 235


def test_every_peer_message_of_the_corpus_goes_through_the_door_and_ends_stored_or_shelved(
    sqlite_model, tmp_path, at
) -> None:
    """EDXL-DE in JSON and XML as the Hub Santé sends it, WIS2, CloudEvents, schemas: an alert or a reason, never silence."""
    with world(tmp_path / "data", at, model=sqlite_model) as hall:
        wanted = [row["path"] for row in rows("INDEX-exchange.csv") if not row["path"].endswith(".md")]
        ends: dict[str, tuple[str, str, int]] = {}
        for path in wanted:
            body = (corpora() / path).read_bytes()
            headers = hall.headers("peer", **{"Content-Type": kinds(Path(path))})
            answer = hall.client.post("/v1/bulletins", content=body, headers=headers)
            assert answer.status_code in (200, 202), (path, answer.text)
            read_all(hall)
            told = hall.get("peer", answer.headers["location"]).json()
            ends[path] = (told["state"], told["reason"], len(told["bulletins"]))
            original = hall.hub.store.read(lambda u, i=told["id"]: arrivals.load(u, i, hall.hub.blobs.get))
            assert original is not None and original.raw == body
        assert len(ends) == len(wanted) >= 42
        for path, (state, reason, count) in ends.items():
            assert (state == "read" and count > 0) or (state == "shelved" and reason in OTHER), (
                path,
                state,
                reason,
            )


def test_every_file_comes_through_the_puller_too(sqlite_model, tmp_path, at) -> None:
    with world(tmp_path / "data", at, model=sqlite_model) as hall, peer_site() as site:
        known = files()
        links = [
            (site.put(f"/{n}{path.suffix}", path.read_bytes(), kind=kinds(path)), "")
            for n, (_, path) in enumerate(known)
        ]
        feed = site.put("/feed", atom(links))
        add = {"period": 60, "hosts": (), "senders": (), "by": "per_1", "at": hall.clock()}
        one = hall.hub.store.run(lambda u: peers.add(u, "corpus", feed, **add))
        while hall.hub.peers.puller.pull(one):
            pass
        read_all(hall)
        store = hall.hub.store
        assert store.read(peers.item_counts) == {one: {"kept": len(known)}}
        states = store.read(arrivals.counts)
        assert set(states) <= {"read", "shelved"}
        unique = store.read(lambda u: u.scalar(sa.select(sa.func.count()).select_from(bulletin_arrival)))
        assert sum(states.values()) == unique == len({path.read_bytes() for _, path in known})
        reasons = {row.reason for row in store.read(shelf.pending)}
        assert reasons <= OTHER | {"conflict"}
        assert hall.count(bulletin) >= 210


def test_the_real_signatures_of_the_corpus_are_never_said_to_be_verified(sqlite_model, tmp_path, at) -> None:
    """No certificate of theirs is pinned here; SHA-1 and double signatures are not judged at all."""
    with world(tmp_path / "data", at, model=sqlite_model) as hall:
        signed = [path for row, path in files() if "signed" in row["traits"].split(";")]
        for path in signed:
            headers = hall.headers("peer", **{"Content-Type": kinds(path)})
            hall.client.post("/v1/bulletins", content=path.read_bytes(), headers=headers)
        read_all(hall)
        found = hall.hub.store.read(lambda u: bulletins.page(u, bulletins.Filter(), at, limit=200))
        seals = Counter(b.seal for b in found)
        assert seals["verified"] == 0
        assert seals["unknown_key"] >= 4
        assert seals["unsupported"] >= 8
