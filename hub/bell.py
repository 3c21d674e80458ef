"""The bell that doors and desks ring after a commit; what it rings is joined later."""

from collections.abc import Callable


class Bell:
    """``bell(job, id)``: never raises, and losing a ring loses nothing (law 1)."""

    def __init__(self) -> None:
        self._ring: Callable[[str, str], None] | None = None

    def connect(self, ring: Callable[[str, str], None]) -> None:
        """Join the broker of this process; before that, rings are left to the sweep."""
        self._ring = ring

    def __call__(self, job: str, row_id: str) -> None:
        """Tell a worker that row `row_id` is due for `job`."""
        if self._ring is not None:
            self._ring(job, row_id)
