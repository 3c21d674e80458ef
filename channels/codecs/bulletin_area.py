"""Where an alert is, in a few numbers: codes, names, outlines within bounds, and the boxes around them.

Boxes are taken of every outline, whatever its size, so that an overlap is found without the outline itself.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from channels.codecs.cap import Alert, Area
from channels.codecs.cap_shape import Point, circle, ring
from domain.bulletin import POINTS
from domain.errors import BadInput
from domain.place import canonical

AREAS, CODES, SHAPES = 500, 2_000, 100  # of one alert; the largest real one has 285 areas
POINTS_READ = 200_000  # of all outlines: a hostile alert of 1 MB could hold 250,000
KM_PER_DEGREE = 111.195  # of latitude on the mean earth
_NATIONAL = ("GB/T2260", "GB/T 2260")

Box = tuple[float, float, float, float]  # south, west, north, east


def areas_of(alert: Alert) -> tuple[dict[str, Any], int]:
    """The areas of every language together, and how many outlines are not kept beside the original."""
    areas = list(dict.fromkeys(area for info in alert.infos for area in info.areas))[:AREAS]
    codes = list(dict.fromkeys((g.name[:120], g.value[:120]) for area in areas for g in area.geocodes))[
        :CODES
    ]
    outlines = [text for area in areas for text in area.polygons]
    kept, boxes, left = [], [], POINTS_READ
    for text in dict.fromkeys(outlines):
        points = ring(text) if text.count(",") <= left else None
        left -= text.count(",")
        if points:
            boxes += list(_around(points))
        if points is None or len(points) <= POINTS:
            kept.append(text[: POINTS * 60])
    circles = [text[:200] for text in dict.fromkeys(c for area in areas for c in area.circles)]
    boxes += [box for text in circles[:SHAPES] for box in _round(text)]
    return {
        "names": [name for name in dict.fromkeys(a.description[:300] for a in areas) if name],
        "codes": [list(code) for code in codes],
        "divisions": list(_divisions(areas))[:CODES],
        "boxes": [list(box) for box in boxes[:AREAS]],
        "polygons": kept[:SHAPES],
        "circles": circles[:SHAPES],
    }, len(set(outlines)) - len(kept[:SHAPES])


def _divisions(areas: Sequence[Area]) -> Iterator[str]:
    """The codes that are divisions of China, 12 digits each."""
    seen = set()
    for area in areas:
        for geocode in area.geocodes:
            if geocode.name.strip().upper() in _NATIONAL:
                try:
                    code = canonical(geocode.value)
                except BadInput:
                    continue
                if code not in seen:
                    seen.add(code)
                    yield code


def _around(points: Sequence[Point]) -> Iterator[Box]:
    """One box; two where the outline crosses the 180th meridian."""
    if not all(p.is_on_earth for p in points):
        return
    lats, lons = [float(p.lat) for p in points], [float(p.lon) for p in points]
    if max(lons) - min(lons) <= 180:
        yield min(lats), min(lons), max(lats), max(lons)
        return
    yield min(lats), min(lon for lon in lons if lon >= 0), max(lats), 180.0
    yield min(lats), -180.0, max(lats), max(lon for lon in lons if lon < 0)


def _round(text: str) -> Iterator[Box]:
    found = circle(text)
    if found is None or not found[0].is_on_earth or found[1] < 0:
        return
    centre, radius = found
    lat, lon, high = float(centre.lat), float(centre.lon), min(180.0, float(radius) / KM_PER_DEGREE)
    wide = min(180.0, high / max(0.01, math.cos(math.radians(lat))))
    yield max(-90.0, lat - high), max(-180.0, lon - wide), min(90.0, lat + high), min(180.0, lon + wide)
