"""What the hub needs is installed with the hub: nothing is there only because a tool of the tests brought it along."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = [
    "domain",
    "sandbox",
    "store",
    "channels",
    "templates",
    "outbox",
    "approval",
    "duty",
    "intake",
    "hub",
    "workers",
    "web",
    "simulators",
    "tocsin",
]
FOUND = """
import importlib, importlib.metadata, pkgutil, sys
for room in sys.argv[1:]:
    for found in pkgutil.walk_packages(importlib.import_module(room).__path__, room + "."):
        if not found.name.endswith("__main__") and ".versions" not in found.name and ".migrations." not in found.name:
            importlib.import_module(found.name)
named = importlib.metadata.packages_distributions()
print(*sorted({name for module in sys.modules for name in named.get(module.partition(".")[0], ())}))
"""


def test_every_distribution_that_the_hub_imports_is_among_its_requirements() -> None:
    words = [sys.executable, "-c", FOUND, *ROOMS]
    told = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True)
    listed = set(re.findall(r"^([A-Za-z0-9._-]+)==", (ROOT / "requirements.txt").read_text(), re.MULTILINE))
    needed = {_plain(name) for name in told.stdout.split()} - {
        "tocsin",
        "setuptools",
    }  # the environment brings its own
    assert {"sqlalchemy", "greenlet"} <= needed
    assert needed - {_plain(name) for name in listed} == set()


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
