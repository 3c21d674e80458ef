"""Who stands at the SMTP door: the network of an address, and whether it was written down lately."""

import ipaddress
from dataclasses import dataclass, field
from datetime import timedelta

NOTE_AGAIN = timedelta(minutes=10)
NETWORKS_MAX = 100  # noted in that time; the log has them all


@dataclass(slots=True)
class Noted:
    """Networks that were noted, so that a flood of refusals fills no shelf."""

    _at: dict[str, float] = field(default_factory=dict)  # network -> seconds of its last note

    def is_due(self, network: str, now: float) -> bool:
        """Whether to note it; said once in ten minutes. `now`: seconds of a clock that only rises."""
        self._at = {known: at for known, at in self._at.items() if now - at < NOTE_AGAIN.total_seconds()}
        if network in self._at or len(self._at) >= NETWORKS_MAX:
            return False
        self._at[network] = now
        return True


def network(peer: str) -> str:
    """The /24 or /48 of an address, '' for this machine."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return "unknown"
    address = getattr(address, "ipv4_mapped", None) or address
    if address.is_loopback:
        return ""
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False))
