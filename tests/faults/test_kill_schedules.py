"""Whatever dies whenever: nothing answered is lost, nothing is sent twice, nothing unknown is hidden (I1 to I8)."""

import time

import pytest

from tests.faults import schedule as schedules
from tests.faults.forge import Forge
from tests.faults.kill import killed_hub
from tests.faults.schedule import Schedule


def is_kept(schedule: Schedule, tmp_path, forge: Forge, server: str) -> None:
    begun = time.monotonic()
    with killed_hub(tmp_path / "run", schedule, forge, server) as hub:
        found = hub.run()
    kind = f"{'postgres' if server else 'sqlite'}, {'spread' if schedule.is_spread else 'embedded'}"
    print(f"\nseed {schedule.seed}, {kind}: {found.kills} kills ({found.by_call} before a call, {found.cold} of a cold `up`) "
          f"in {time.monotonic() - begun:.0f} s; {found.reports} reports, {found.taken} messages taken, "
          f"{found.looked_up} unsure of at most {found.bound}, {found.unsure} after look-up")  # fmt: skip
    assert found.broken == [], found.words(schedule.seed)


@pytest.mark.parametrize(("server", "seed"), [("sqlite", 12), ("postgres", 11)], indirect=["server"])
def test_a_killed_hub_keeps_its_promises(seed, server, forge, tmp_path) -> None:
    schedule = schedules.of(seed, rounds=1, deaths=3, can_count=forge.shim is not None)
    with killed_hub(tmp_path / "run", schedule, forge, server) as hub:
        hub.start()
        for one in schedule.rounds:
            hub.round(f"{seed}x", one, one.deaths)
        hub.prove()
    assert hub.verdict.broken == [], hub.verdict.words(seed)
    assert hub.verdict.kills == 3
    assert hub.verdict.reports > 10


@pytest.mark.faults
@pytest.mark.parametrize("seed", schedules.seeds(range(101, 111)))
def test_r1_r2_r3_r4_r6_r8_r9_r12_r13_a_hub_killed_at_any_moment_keeps_its_promises(
    seed, server, forge, tmp_path
) -> None:
    """Thirty deaths a seed, each tenth that of a real `tocsin up`; at the end the provider's ledger is ours."""
    is_kept(schedules.of(seed, can_count=forge.shim is not None), tmp_path, forge, server)
