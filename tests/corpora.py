"""Where the corpora of real files lie: the folder that TOCSIN_CORPUS names."""

import os
from pathlib import Path

import pytest


def corpora() -> Path:
    """The folder; without it a test is skipped at home and fails on CI."""
    place = os.environ.get("TOCSIN_CORPUS")
    if not place and os.environ.get("CI"):
        pytest.fail("TOCSIN_CORPUS is not set")
    if not place:
        pytest.skip("TOCSIN_CORPUS is not set")
    return Path(place)
