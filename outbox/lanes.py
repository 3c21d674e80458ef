"""Which workers carry a dispatch: what is urgent, and what goes by another channel, never waits behind the rest."""

from domain.artefact import Purpose
from domain.release import LIFE_THREAT, Release

URGENT = "urgent"
_JOBS = {URGENT: "deliver_urgent", "email": "deliver_mail"}
_DELIVER = "deliver"  # everything else with an address


def lane_of(release: Release, purpose: Purpose, channel: str) -> str:
    """Red and orange warnings and all corrections are urgent: a notice to a whole city must not hold them up."""
    is_urgent = release.draft.colour in LIFE_THREAT or purpose is Purpose.CORRECTION
    return URGENT if is_urgent else channel


def job_of(lane: str) -> str:
    """The job that carries parcels of that lane."""
    return _JOBS.get(lane, _DELIVER)


def jobs() -> dict[str, tuple[str, ...] | None]:
    """job -> its lanes, the urgent one first; None: all that no other job has."""
    return {job: (lane,) for lane, job in _JOBS.items()} | {_DELIVER: None}
