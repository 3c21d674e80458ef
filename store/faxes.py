"""The numbers of incoming faxes (收文号): counted from 1 in every year, without a gap, in the order of filing."""

import sqlalchemy as sa

from store.tables_fax import fax
from store.unit import Unit

_TAKE = """
INSERT INTO fax_year (year, last) VALUES (:year, 1)
ON CONFLICT (year) DO UPDATE SET last = fax_year.last + 1 RETURNING last
"""


def take_number(unit: Unit, year: int) -> int:
    """The next number of the year. Its row stays locked to the end of the transaction, and rolls back with it: no gaps."""
    return int(unit.execute(sa.text(_TAKE), {"year": year}).scalar_one())


def keep_number(unit: Unit, report_id: str, year: int, n: int) -> None:
    """Enter whose number it is."""
    unit.execute(fax.insert(), {"report": report_id, "year": year, "n": n})
