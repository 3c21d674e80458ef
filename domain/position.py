"""Points on the earth: WGS-84, and the two coordinate systems of Chinese maps; distances between points.

GCJ-02 (国测局坐标, 火星坐标: AMap, Tencent, Google in China) moves a point by 50 to 700 m, BD-09 (Baidu) moves it once more.
Neither is published by its maker. The formulas are those which public implementations agree on (eviltransform and its
many ports); against them this file is exact to 1e-9 degrees, there and back to 1e-8 degrees (1 mm). How far they are
from the makers' own is not published; 1 to 2 m is what is said of them.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

EARTH = 6_371_008.8  # m, mean radius (IUGG R1): a great circle on it is within 0.5 % of the ellipsoid
_A, _EE = 6378245.0, 0.00669342162296594323  # Krasovsky 1940, as GCJ-02 uses it
_X_PI = math.pi * 3000.0 / 180.0  # of BD-09
_ROUNDS = 12  # of the way back: each takes the rest down by about 1000
_DEGREES = re.compile(r"[+-]?[0-9]{1,3}(?:\.[0-9]{1,20})?")
_ACCURACY = re.compile(r"±\s*([0-9]{1,7})(?:\.[0-9]*)?\s*m")


class Datum(StrEnum):
    """How a pair of degrees is meant."""

    WGS84 = "WGS-84"  # satellites, EXIF, browsers, CAP
    GCJ02 = "GCJ-02"
    BD09 = "BD-09"


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A point in WGS-84, with the radius in metres in which it is good."""

    lat: float
    lon: float
    accuracy: int = 0  # 0: not said
    given_as: Datum = Datum.WGS84


def is_in_china(lat: float, lon: float) -> bool:
    """Whether the Chinese systems move a point here: the rectangle of the public implementations.

    It also holds parts of the neighbours, where no map is moved: a point there is converted only when it was *said* to
    be of a Chinese system.
    """
    return 72.004 <= lon <= 137.8347 and 0.8293 <= lat <= 55.8271


def gcj02_of_wgs84(lat: float, lon: float) -> tuple[float, float]:
    """WGS-84 as GCJ-02; outside China unchanged."""
    if not is_in_china(lat, lon):
        return lat, lon
    by_lat, by_lon = _moved(lon - 105.0, lat - 35.0)
    angle = math.radians(lat)
    magic = 1 - _EE * math.sin(angle) ** 2
    root = math.sqrt(magic)
    by_lat = by_lat * 180.0 / (_A * (1 - _EE) / (magic * root) * math.pi)
    by_lon = by_lon * 180.0 / (_A / root * math.cos(angle) * math.pi)
    return lat + by_lat, lon + by_lon


def wgs84_of_gcj02(lat: float, lon: float) -> tuple[float, float]:
    """GCJ-02 as WGS-84; outside China unchanged."""
    return _back(gcj02_of_wgs84, lat, lon)


def bd09_of_gcj02(lat: float, lon: float) -> tuple[float, float]:
    """GCJ-02 as BD-09; outside China unchanged."""
    if not is_in_china(lat, lon):
        return lat, lon
    z = math.hypot(lon, lat) + 0.00002 * math.sin(lat * _X_PI)
    theta = math.atan2(lat, lon) + 0.000003 * math.cos(lon * _X_PI)
    return z * math.sin(theta) + 0.006, z * math.cos(theta) + 0.0065


def gcj02_of_bd09(lat: float, lon: float) -> tuple[float, float]:
    """BD-09 as GCJ-02; outside China unchanged."""
    return _back(bd09_of_gcj02, lat, lon)


def bd09_of_wgs84(lat: float, lon: float) -> tuple[float, float]:
    """WGS-84 as BD-09; outside China unchanged."""
    return bd09_of_gcj02(*gcj02_of_wgs84(lat, lon))


def wgs84_of_bd09(lat: float, lon: float) -> tuple[float, float]:
    """BD-09 as WGS-84; outside China unchanged."""
    return wgs84_of_gcj02(*gcj02_of_bd09(lat, lon))


TO_WGS84: Mapping[Datum, Callable[[float, float], tuple[float, float]]] = {
    Datum.WGS84: lambda lat, lon: (lat, lon),
    Datum.GCJ02: wgs84_of_gcj02,
    Datum.BD09: wgs84_of_bd09,
}


def distance(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Metres between two points (lat, lon) along a great circle (haversine: good for small distances too)."""
    lat_a, lat_b = math.radians(a[0]), math.radians(b[0])
    by_lat, by_lon = lat_b - lat_a, math.radians(b[1] - a[1])
    h = math.sin(by_lat / 2) ** 2 + math.cos(lat_a) * math.cos(lat_b) * math.sin(by_lon / 2) ** 2
    return 2 * EARTH * math.asin(math.sqrt(min(1.0, h)))


def read(value: str, note: str = "") -> Position | None:
    """The point of a fact `position`: "lat,lon" in degrees, or None for anything else.

    `note` may name the system and the accuracy, as note() writes them; without a name it is WGS-84. (0, 0) lies in the
    Gulf of Guinea and is what a device without a fix sends.
    """
    lat_text, comma, lon_text = value.partition(",")
    parts = lat_text.strip(), lon_text.strip()
    if not comma or not all(map(_DEGREES.fullmatch, parts)):
        return None
    lat, lon = float(parts[0]), float(parts[1])
    if abs(lat) > 90 or abs(lon) > 180 or (lat, lon) == (0.0, 0.0):
        return None
    datum = next((d for d in Datum if d.value in note), Datum.WGS84)
    lat, lon = TO_WGS84[datum](lat, lon)
    said = _ACCURACY.search(note)
    return Position(lat=lat, lon=lon, accuracy=int(said[1]) if said else 0, given_as=datum)


def note(datum: Datum = Datum.WGS84, accuracy: float | None = None) -> str:
    """What a door writes beside a position it was given: its system, unless WGS-84, and its accuracy in metres."""
    said = [] if datum is Datum.WGS84 else [datum.value]
    if accuracy is not None and math.isfinite(accuracy) and 0 < accuracy < 10_000_000:
        said.append(f"±{math.ceil(accuracy)} m")
    return ", ".join(said)


def _back(
    there: Callable[[float, float], tuple[float, float]], lat: float, lon: float
) -> tuple[float, float]:
    """The point that `there` takes to (lat, lon), by fixed point: both systems move neighbours alike."""
    if not is_in_china(lat, lon):
        return lat, lon
    found = lat, lon
    for _ in range(_ROUNDS):
        reached = there(*found)
        found = found[0] + lat - reached[0], found[1] + lon - reached[1]
    return found


def _moved(x: float, y: float) -> tuple[float, float]:
    """Metres by which GCJ-02 moves a point to the north and to the east."""
    root = math.sqrt(abs(x))
    wave = (20.0 * math.sin(6.0 * x * math.pi) + 20.0 * math.sin(2.0 * x * math.pi)) * 2.0 / 3.0
    north = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root + wave
    north += (20.0 * math.sin(y * math.pi) + 40.0 * math.sin(y / 3.0 * math.pi)) * 2.0 / 3.0
    north += (160.0 * math.sin(y / 12.0 * math.pi) + 320.0 * math.sin(y * math.pi / 30.0)) * 2.0 / 3.0
    east = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root + wave
    east += (20.0 * math.sin(x * math.pi) + 40.0 * math.sin(x / 3.0 * math.pi)) * 2.0 / 3.0
    east += (150.0 * math.sin(x / 12.0 * math.pi) + 300.0 * math.sin(x / 30.0 * math.pi)) * 2.0 / 3.0
    return north, east
