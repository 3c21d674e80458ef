"""Incoming faxes, each with its number of the year (收文号), in the order of filing."""

from store.tables_fax import fax
from store.unit import Unit


def keep_number(unit: Unit, report_id: str, year: int, n: int) -> None:
    """Enter whose number it is."""
    unit.execute(fax.insert(), {"report": report_id, "year": year, "n": n})
