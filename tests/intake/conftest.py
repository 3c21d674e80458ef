"""What several tests of intake share."""

from collections.abc import Iterator

import pytest

from sandbox.pool import Pool
from tests.intake.peer_server import Site, peer_site
from tests.smpp_kit import Centre, centre


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    """Children that parse strangers' bytes."""
    made = Pool(size=1)
    yield made
    made.close()


@pytest.fixture
def site() -> Iterator[Site]:
    """Another authority's web server."""
    with peer_site() as made:
        yield made


@pytest.fixture(scope="module")
def smsc() -> Iterator[Centre]:
    """An SMS centre."""
    with centre() as made:
        yield made
