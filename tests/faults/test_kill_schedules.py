"""Whatever dies whenever: nothing answered is lost, nothing is sent twice, nothing unknown is hidden (I1 to I8)."""

import pytest

from tests.faults import schedule as schedules
from tests.faults.kill import killed_hub

QUICK = (11, 102)  # spread and embedded, both by the clock: they need no compiler


def verdict_of(seed: int, tmp_path, postgres_url: str) -> None:
    schedule = schedules.of(seed)
    with killed_hub(tmp_path / "run", schedule, postgres_url) as hub:
        verdict = hub.run(schedule)
    print(f"\nseed {seed}: {schedule.death.victim} {verdict.how}, "
          f"{verdict.taken} taken, {verdict.unsure} unsure")  # fmt: skip
    assert verdict.broken == [], f"TOCSIN_FAULT_SEED={seed} make faults; {schedule}"


@pytest.mark.parametrize("seed", QUICK)
def test_a_killed_hub_keeps_its_promises(seed, tmp_path, postgres_url) -> None:
    verdict_of(seed, tmp_path, postgres_url)


@pytest.mark.faults
@pytest.mark.parametrize("seed", schedules.seeds(range(101, 121)))
def test_a_hub_killed_at_any_moment_keeps_its_promises(seed, tmp_path, postgres_url) -> None:
    verdict_of(seed, tmp_path, postgres_url)
