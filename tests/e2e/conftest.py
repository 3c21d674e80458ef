"""One hub and one browser for each module: both are started once, and gone before another module begins."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.e2e.hub_process import HubProcess, hub_process
from tests.web.screens import chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; not for the whole session, because its event loop would stand in other tests' way."""
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """`tocsin up --demo`."""
    with hub_process(tmp_path_factory.mktemp("hub")) as running:
        yield running
