"""Which status each of our errors is answered with."""

import pytest

from domain import errors
from web.problems import status_of


@pytest.mark.parametrize(
    "error, status",
    [
        (errors.NotAllowed("x"), 403),
        (errors.Conflict("x"), 409),
        (errors.IllegalMove("x"), 409),
        (errors.Tampered("x"), 409),
        (errors.NotFound("x"), 404),
        (errors.BadInput("x"), 400),
        (errors.Unavailable("x"), 503),
        (errors.CommitUnknown("x"), 503),
        (errors.HubError("x"), 500),
    ],
)
def test_every_error_of_ours_has_its_status(error: errors.HubError, status: int) -> None:
    assert status_of(error) == status
