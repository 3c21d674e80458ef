"""Rules of the areas of a CAP alert: polygons, circles, heights, and that there is a place at all."""

from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation

from lxml import etree

from channels.codecs.cap_finding import Finding
from channels.codecs.cap_page import Page
from channels.codecs.cap_shape import PAIRS_TRIED, Point, circle, crosses_itself, ring
from channels.codecs.markup import text_of

_HALF_AROUND = 20_038  # km, half the circumference of the earth: a larger radius was written in metres


def polygons(page: Page) -> Iterator[Finding]:
    """R11 closed ring of four pairs or more, R12 its ranges, R13 it does not cross itself."""
    left, is_chinese = PAIRS_TRIED, _is_chinese(page)
    for element in page.each("polygon"):
        points = ring(text_of(element))
        if points is None:
            yield page.error("R11", element, "polygon is not a list of lat,lon pairs")
        elif len(points) < 4 or points[0] != points[-1]:
            yield page.error("R11", element, "polygon needs four pairs or more, the last equal to the first")
        else:
            yield from _ranges(page, element, points, is_chinese=is_chinese)
            crossed, tried = (
                crosses_itself(points, left) if all(p.is_on_earth for p in points) else (False, 0)
            )
            left -= tried
            if crossed:
                yield page.error("R13", element, "polygon crosses itself")
            elif crossed is None:
                yield page.warning("R13", element, "polygon has too many points to look for crossings")


def circles(page: Page) -> Iterator[Finding]:
    """R14 ``lat,lon km``, R12 its range; a radius of 0 is kept and told."""
    is_chinese = _is_chinese(page)
    for element in page.each("circle"):
        found = circle(text_of(element))
        if found is None:
            yield page.error("R14", element, "circle is not 'lat,lon radius' with one blank, radius in km")
            continue
        centre, radius = found
        yield from _ranges(page, element, [centre], is_chinese=is_chinese)
        if radius < 0:
            yield page.error("R14", element, "radius below 0")
        elif radius == 0:
            yield page.warning("R14", element, "radius 0: a point, not an area where people are warned")
        elif radius > _HALF_AROUND:
            yield page.warning("R14", element, "radius larger than the earth: kilometres, not metres")


def _ranges(
    page: Page, element: etree._Element, points: Sequence[Point], *, is_chinese: bool
) -> Iterator[Finding]:
    """R12. The swap is looked for in Chinese alerts only: 78,15 is a place on Svalbard too."""
    is_swapped = all(p.is_china_swapped for p in points)
    if not all(p.is_on_earth for p in points):
        hint = "; lat and lon look swapped" if is_swapped else ""
        yield page.error("R12", element, f"latitude beyond 90 or longitude beyond 180{hint}")
    elif is_swapped and is_chinese:
        yield page.warning("R12", element, "in China once swapped: CAP writes lat,lon, GeoJSON lon,lat")


def _is_chinese(page: Page) -> bool:
    codes = (page.text(g, "valueName").replace(" ", "").upper() for g in page.each("geocode"))
    return any(text_of(e).lower().startswith("zh") for e in page.each("language")) or any(
        code.startswith("GB/T") for code in codes
    )


def heights(page: Page) -> Iterator[Finding]:
    """R15: a ceiling needs an altitude and is not below it; both in feet above mean sea level."""
    for area in page.each("area"):
        ceiling = page.first(area, "ceiling")
        if ceiling is None:
            continue
        low, high = _number(page.text(area, "altitude")), _number(text_of(ceiling))
        if page.first(area, "altitude") is None:
            yield page.error("R15", ceiling, "ceiling without altitude")
        elif low is not None and high is not None and high < low:
            yield page.error("R15", ceiling, "ceiling below altitude")


def places(page: Page) -> Iterator[Finding]:
    """R27: every area can be found on a map; in our own output every info has one."""
    for info in page.infos():
        areas = page.all(info, "area")
        if page.as_output and not areas:
            yield page.error("R27", info, "no area")
        for area in areas:
            if not any(page.all(area, name) for name in ("polygon", "circle", "geocode")):
                yield page.duty("R27", area, "area without polygon, circle or geocode")


def _number(text: str) -> Decimal | None:
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() else None
