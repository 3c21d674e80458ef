"""The one style sheet of a family of pages, under an address that changes with its bytes."""

import hashlib
from functools import lru_cache
from importlib.resources import files


@lru_cache
def style(family: str) -> bytes:
    """The sheet of `family`: console or citizen."""
    return files("templates").joinpath(family, "style.css").read_bytes()


@lru_cache
def style_name(family: str) -> str:
    """Its name, e.g. style-0123456789ab.css; it may be cached for ever."""
    return f"style-{hashlib.sha256(style(family)).hexdigest()[:12]}.css"
