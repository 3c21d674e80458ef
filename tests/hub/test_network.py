"""A machine without a way outside knows it, and its hub says so."""

import subprocess
import sys
from pathlib import Path

import pytest

from hub import network
from hub.health import Health, Trouble

ROOT = Path(__file__).resolve().parents[2]
HEAD = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
DEFAULT = "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
LOCAL = "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
DEFAULT6 = f"{'0' * 32} 00 {'0' * 32} 00 {'f' * 32} 00000400 00000001 00000000 00000003 eth0\n"


def _machine(directory: Path, routes: str, routes6: str, carrier: str) -> tuple[Path, Path, Path]:
    (directory / "links" / "eth0").mkdir(parents=True)
    (directory / "links" / "eth0" / "carrier").write_text(carrier)
    (directory / "route").write_text(HEAD + routes)
    (directory / "route6").write_text(routes6)
    return directory / "route", directory / "route6", directory / "links"


@pytest.mark.parametrize(("routes", "routes6", "carrier", "is_there"), [
    (DEFAULT + LOCAL, "", "1", True),
    (LOCAL, "", "1", False),  # the office's own network only
    (LOCAL, DEFAULT6, "1", True),
    (LOCAL, DEFAULT6.replace("eth0", "lo"), "1", False),
    (DEFAULT, "", "0", False),  # the cable is out
    ("", "", "1", False),
])  # fmt: skip
def test_a_default_route_over_a_link_that_is_plugged_in_is_a_way(
    tmp_path, routes, routes6, carrier, is_there
) -> None:
    assert network.is_there(*_machine(tmp_path, routes, routes6, carrier)) is is_there


def test_r22_without_a_network_the_machine_knows_it_and_health_says_so(store, tmp_path, at) -> None:
    command = ["unshare", "-rn", sys.executable, "-c", "from hub import network; print(network.is_there())"]
    alone = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if alone.returncode:
        pytest.skip(f"no network namespace here: {alone.stderr.strip()}")
    assert alone.stdout.strip() == "False"
    for name in ("spool", "public"):
        (tmp_path / name).mkdir()
    health = Health(store=store, data_dir=tmp_path, clock=lambda: at)
    health.join(Trouble.NETWORK_OUT, lambda: network.is_there(Path("/none"), Path("/none")))
    assert Trouble.NETWORK_OUT in health.look().troubles
    health.join(Trouble.NETWORK_OUT, lambda: True)
    assert Trouble.NETWORK_OUT not in health.look().troubles
