"""Hubs behind the doors that hostile inputs come to."""

from tests.corpus.hostile.api_kit import each, hub, shared
from tests.web.conftest import hall, quick

__all__ = ["each", "hall", "hub", "quick", "shared"]
