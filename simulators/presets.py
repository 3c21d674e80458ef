"""Named scripts of a simulated provider, for people who do not write rules."""

from collections.abc import Mapping
from typing import Any

USUAL = "usual"
PRESETS: Mapping[str, tuple[dict[str, Any], ...]] = {  # name -> rules as simulators.script.parse takes them
    USUAL: (),
    "500": ({"act": "error"},),
    "429": ({"act": "throttle", "retry_after": "5"},),
    "silent": ({"act": "hang"},),
    "slow": ({"delay_ms": 4000},),  # under the 10 s that the hub waits for a call
    "refused": ({"act": "refuse", "code": 21610},),
    "undelivered": ({"final": "undelivered", "error_code": 30003},),
}
OUTAGES = ("500", "429", "silent", "slow")


def script(name: str) -> dict[str, Any]:
    """The body of POST /sim/script. Raises KeyError for another name."""
    return {"seed": 1, "rules": list(PRESETS[name])}
