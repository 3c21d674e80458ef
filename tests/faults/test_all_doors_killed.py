"""kill -9 while every door is knocked at: what each provider heard "taken" of is there, whole and once."""

import time

import pytest

from tests.faults import schedule as schedules
from tests.faults.forge import Forge
from tests.faults.kill import killed_hub

ROUNDS, DEATHS = 5, 8  # of one hub: 40 kills, and five seeds are 200


def run(
    seed: int,
    tmp_path,
    forge: Forge,
    server: str,
    *,
    rounds: int = ROUNDS,
    deaths: int = DEATHS,
    repeats: int = 0,
) -> int:
    """One hub's life at all its doors; how many kills it was."""
    begun = time.monotonic()
    made = schedules.of(seed, rounds=rounds, deaths=deaths, can_count=forge.shim is not None)
    with killed_hub(tmp_path / "run", schedules.well(made), forge, server, has_all_doors=True) as hub:
        hub.start()
        if repeats:
            hub.storm(repeats)
        for n, one in enumerate(made.rounds):
            hub.round(f"{seed}x{n}", schedules.well(made).rounds[n], one.deaths)
            if hub.verdict.broken:
                break
    found = hub.verdict
    print(f"\nseed {seed}, {'postgres' if server else 'sqlite'}, {'spread' if made.is_spread else 'embedded'}: "
          f"{found.kills} kills ({found.by_call} before a call, {found.cold} of a cold `up`) in "
          f"{time.monotonic() - begun:.0f} s; {found.reports} messages answered at {len(hub.doors)} doors")  # fmt: skip
    assert found.broken == [], found.words(seed)
    assert not rounds or {marker.partition(" ")[0] for marker in hub.answered} == set(hub.doors)
    return found.kills


@pytest.mark.parametrize("server", ["sqlite"], indirect=True)
def test_r1_r2_f1_f2_a_hub_killed_twice_loses_and_doubles_nothing_at_any_door(
    server, forge, tmp_path
) -> None:
    assert run(200, tmp_path, forge, server, rounds=1, deaths=2, repeats=10) == 2


@pytest.mark.faults
@pytest.mark.parametrize("seed", [301, 300])
def test_r2_six_hundred_repeats_at_eight_doors_at_once_are_one_report_each(
    seed, server, forge, tmp_path
) -> None:
    """In several processes, and in one."""
    run(seed, tmp_path, forge, server, rounds=0, repeats=600)


@pytest.mark.faults
@pytest.mark.parametrize("seed", schedules.seeds(range(201, 206)))
def test_r1_r2_f1_f2_f3_two_hundred_kills_lose_and_double_nothing_at_any_door(
    seed, server, forge, tmp_path
) -> None:
    """Odd seeds in several processes; the chat posts at some and is asked at others."""
    assert run(seed, tmp_path, forge, server) == ROUNDS * DEATHS
