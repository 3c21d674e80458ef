"""The tables of faxes: their numbers by year."""

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Table, UniqueConstraint

from store.columns import META

fax = Table(
    "fax",
    META,
    Column("report", ForeignKey("report.id"), primary_key=True),
    Column("year", sa.Integer, nullable=False),
    Column("n", sa.Integer, nullable=False),
    UniqueConstraint("year", "n"),
)
