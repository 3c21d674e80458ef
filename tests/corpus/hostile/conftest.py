"""Hubs behind the doors that hostile inputs come to."""

from tests.web.conftest import hall, quick

__all__ = ["hall", "quick"]
