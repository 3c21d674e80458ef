"""Times that clocks never show: a leap second, an hour that is skipped and one that comes twice, at the real doors."""

from datetime import datetime
from pathlib import Path

import pytest

from store import arrivals
from tests import bulletin_kit
from tests.web.api_world import World, world

SENT = {  # as its sender wrote it -> the instant; None: there is no such time, and the alert is kept all the same
    "2026-03-29T02:30:00+01:00": "2026-03-29T01:30:00+00:00",  # skipped on the wall, and an instant with its offset
    "2026-10-25T02:30:00+02:00": "2026-10-25T00:30:00+00:00",
    "2026-10-25T02:30:00+01:00": "2026-10-25T01:30:00+00:00",  # an hour later, the same on the wall
    "2028-02-29T23:59:59+08:00": "2028-02-29T15:59:59+00:00",
    "2026-12-31T23:59:59-12:00": "2027-01-01T11:59:59+00:00",
    "2016-12-31T23:59:60-00:00": None,
    "2027-02-29T00:00:00+08:00": None,
}


@pytest.fixture
def hall(sqlite_model: Path, tmp_path: Path, at: datetime):
    with world(tmp_path / "data", at, model=sqlite_model) as made:
        yield made


@pytest.mark.parametrize("written", SENT)
def test_f28_a_peers_time_is_kept_as_given_and_one_that_no_clock_shows_loses_no_alert(
    hall: World, written: str
) -> None:
    at = datetime.fromisoformat("2026-11-23T14:05:00+08:00")
    raw = bulletin_kit.xml("odd", at).replace(at.isoformat().encode(), written.encode(), 1)
    assert written.encode() in raw
    headers = hall.headers("peer", **{"Content-Type": "application/cap+xml"})
    assert hall.client.post("/v1/bulletins", content=raw, headers=headers).status_code == 202
    for arrival_id in hall.hub.store.read(lambda unit: arrivals.due(unit, hall.clock())):
        hall.hub.peers.reader.read(arrival_id)
    (found,) = hall.get("officer", "/v1/bulletins?view=all").json()["data"]
    wanted = SENT[written]
    if wanted is None:
        assert found["sent"] is None and found["errors"] > 0
    else:
        assert datetime.fromisoformat(found["sent"]) == datetime.fromisoformat(wanted)
    original = hall.get("officer", f"/v1/bulletins/{found['id']}/original")
    assert original.content == raw
