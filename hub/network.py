"""Whether this machine has a way to the network outside; nobody is asked for that."""

from pathlib import Path

ROUTES = Path("/proc/net/route")
ROUTES6 = Path("/proc/net/ipv6_route")
LINKS = Path("/sys/class/net")


def is_there(routes: Path = ROUTES, routes6: Path = ROUTES6, links: Path = LINKS) -> bool:
    """Whether a default route leads over a link that is plugged in."""
    return any(_is_plugged(links / name) for name in _of_4(routes) | _of_6(routes6))


def _of_4(path: Path) -> set[str]:
    """proc(5): interface, destination, ..., mask in the eighth column."""
    rows = [line.split() for line in _lines(path)[1:]]
    return {row[0] for row in rows if len(row) > 7 and row[1] == row[7] == "00000000"}


def _of_6(path: Path) -> set[str]:
    """Destination, its length, ..., interface last; the kernel's own unreachable default is over lo."""
    rows = [line.split() for line in _lines(path)]
    return {row[-1] for row in rows if len(row) > 9 and row[1] == "00" and not row[0].strip("0")} - {"lo"}


def _is_plugged(link: Path) -> bool:
    try:
        return (link / "carrier").read_text().strip() == "1"
    except OSError:  # a tunnel has no carrier, one that is down refuses to say
        return (link / "operstate").exists() and (link / "operstate").read_text().strip() != "down"


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
