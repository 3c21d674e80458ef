"""What a phone keeps of the citizen's form, so that it opens without a network: scripts, worker, manifest, icons."""

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

PAGE = ("letters", "exif", "photos", "outbox", "waiting", "page")  # in the order in which one needs the other
FIELD = ("letters", "exif", "photos", "outbox", "sender", "waiting", "field")
ICONS = ("icon-192.png", "icon-512.png")  # sizes that browsers ask of what can be installed (W3C Manifest)


@lru_cache
def script(*names: str) -> bytes:
    """The scripts `names` as one file."""
    place = files("templates").joinpath("citizen", "scripts")
    return b"\n".join(place.joinpath(f"{name}.js").read_bytes() for name in names)


@lru_cache
def script_name(*names: str) -> str:
    """Its address, which changes with its bytes."""
    return f"{names[-1]}-{hashlib.sha256(script(*names)).hexdigest()[:12]}.js"


@lru_cache
def icon(name: str) -> bytes:
    """A picture of the home screen."""
    return files("templates").joinpath("citizen", name).read_bytes()


def worker(
    place: str, kept: Mapping[str, bytes], shells: Mapping[str, str], outbox: Mapping[str, str], *scripts: str
) -> bytes:
    """The service worker for `place`: `kept` are the addresses it keeps with their bytes, `shells` language -> one of them.

    `scripts` stand between the outbox and the worker. One changed byte of anything kept makes another worker, and
    browsers look for one at each visit.
    """
    code = script("outbox", *scripts, "worker")
    told = hashlib.sha256(code)
    for address, body in sorted(kept.items()):
        told.update(f"{address}\0{hashlib.sha256(body).hexdigest()}\n".encode())
    head = {"PLACE": place, "BUILD": told.hexdigest()[:16], "KEPT": sorted(kept), "SHELLS": dict(shells),
            "OUTBOX": dict(outbox)}  # fmt: skip
    lines = [f"const {name} = {json.dumps(value, ensure_ascii=False)};\n" for name, value in head.items()]
    return "".join(lines).encode() + code


def manifest(name: str, *, place: str, language: str) -> bytes:
    """The web app manifest (W3C, 2025) of the form at `place`."""
    return json.dumps({
        "name": name, "short_name": name[:12], "lang": language, "id": place, "scope": place,
        "start_url": f"{place}?lang={language}", "display": "standalone", "background_color": "#eef1f5",
        "theme_color": "#0b2e59",
        "icons": [{"src": f"/report/{icon}", "sizes": f"{size}x{size}", "type": "image/png", "purpose": "any maskable"}
                  for icon, size in zip(ICONS, (192, 512), strict=True)],
    }, ensure_ascii=False).encode()  # fmt: skip
