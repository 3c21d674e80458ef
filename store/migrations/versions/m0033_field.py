"""People in the field: tasks, what they sent, and who is to hear of a further report of an incident."""

import sqlalchemy as sa
from alembic import op

from store import guards

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

MOVES = [
    ("given", "under_way"), ("given", "arrived"), ("under_way", "arrived"), ("arrived", "done"),
    *((before, after) for before in ("given", "under_way", "arrived") for after in ("declined", "recalled")),
]  # fmt: skip
KEPT = ("report", "incident", "person", "given_by", "given_at", "due_at")


def upgrade() -> None:
    op.create_table(
        "field_task",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("report", sa.String(length=40), nullable=False),
        sa.Column("incident", sa.String(length=40), nullable=True),
        sa.Column("person", sa.String(length=40), nullable=False),
        sa.Column("given_by", sa.String(length=40), nullable=False),
        sa.Column("words", sa.LargeBinary(), nullable=False),
        sa.Column("given_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('given', 'under_way', 'arrived', 'done', 'declined', 'recalled')",
                           name=op.f("ck_field_task_state")),
        sa.ForeignKeyConstraint(["report"], ["report.id"], name=op.f("fk_field_task_report")),
        sa.ForeignKeyConstraint(["incident"], ["incident.id"], name=op.f("fk_field_task_incident")),
        sa.ForeignKeyConstraint(["person"], ["person.id"], name=op.f("fk_field_task_person")),
        sa.ForeignKeyConstraint(["given_by"], ["person.id"], name=op.f("fk_field_task_given_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_field_task")),
    )  # fmt: skip
    op.create_index("ix_field_task_person", "field_task", ["person", "given_at"])
    op.create_index("ix_field_task_report", "field_task", ["report"])
    op.create_table(
        "field_item",
        sa.Column("inbound", sa.String(length=40), nullable=False),
        sa.Column("person", sa.String(length=40), nullable=False),
        sa.Column("task", sa.String(length=40), nullable=True),
        sa.Column("matter", sa.String(length=64), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["inbound"], ["inbound.id"], name=op.f("fk_field_item_inbound")),
        sa.ForeignKeyConstraint(["person"], ["person.id"], name=op.f("fk_field_item_person")),
        sa.ForeignKeyConstraint(["task"], ["field_task.id"], name=op.f("fk_field_item_task")),
        sa.PrimaryKeyConstraint("inbound", name=op.f("pk_field_item")),
    )
    op.create_index("ix_field_item_person", "field_item", ["person", "at"])
    op.create_index("ix_field_item_matter", "field_item", ["person", "matter", "at"])
    op.create_table(
        "incident_news",
        sa.Column("incident", sa.String(length=40), nullable=False),
        sa.Column("report", sa.String(length=40), nullable=False),
        sa.Column("person", sa.String(length=60), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["incident"], ["incident.id"], name=op.f("fk_incident_news_incident")),
        sa.ForeignKeyConstraint(["report"], ["report.id"], name=op.f("fk_incident_news_report")),
        sa.PrimaryKeyConstraint("incident", "report", "person", name=op.f("pk_incident_news")),
    )
    unseen = sa.text("seen_at IS NULL")
    op.create_index("ix_incident_news_unseen", "incident_news", ["person", "at"], postgresql_where=unseen,
                    sqlite_where=unseen)  # fmt: skip
    dialect = op.get_context().dialect.name
    moves = sa.table("moves", *(sa.column(name, sa.String) for name in ("machine", "before", "after")))
    op.bulk_insert(moves, guards.move_rows("field_task", MOVES))
    for statement in (*guards.only_known_moves("field_task", dialect), *guards.kept_columns("field_task", KEPT, dialect)):
        op.execute(statement)
