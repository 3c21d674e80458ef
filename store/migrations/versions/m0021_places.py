"""Where a report may be, what it tells of, what is missing in it; landmarks."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("report", sa.Column("found_area", sa.String(length=12), server_default="", nullable=False))
    op.create_table(
        "report_place",
        sa.Column("report", sa.String(length=40), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("code", sa.String(length=12), nullable=False),
        sa.Column("accuracy", sa.Integer(), nullable=False),
        sa.Column("origin", sa.String(length=20), nullable=False),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("found", sa.LargeBinary(), nullable=False),
        sa.Column("chosen_by", sa.String(length=40), nullable=True),
        sa.Column("chosen_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("(n = 0) = (chosen_by IS NOT NULL)", name=op.f("ck_report_place_chosen")),
        sa.ForeignKeyConstraint(["report"], ["report.id"], name=op.f("fk_report_place_report")),
        sa.ForeignKeyConstraint(["chosen_by"], ["person.id"], name=op.f("fk_report_place_chosen_by")),
        sa.PrimaryKeyConstraint("report", "n", name=op.f("pk_report_place")),
    )
    op.create_table(
        "report_triage",
        sa.Column("report", sa.String(length=40), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("scheme", sa.String(length=20), nullable=False),
        sa.Column("event_code", sa.String(length=10), nullable=False),
        sa.Column("rule", sa.String(length=60), nullable=False),
        sa.Column("level", sa.Integer(), nullable=True),
        sa.Column("grade", sa.Integer(), nullable=True),
        sa.Column("known", sa.String(length=200), nullable=False),
        sa.Column("found", sa.LargeBinary(), nullable=False),
        sa.Column("studied_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("level BETWEEN 1 AND 4", name=op.f("ck_report_triage_level")),
        sa.CheckConstraint("grade BETWEEN 1 AND 4", name=op.f("ck_report_triage_grade")),
        sa.ForeignKeyConstraint(["report"], ["report.id"], name=op.f("fk_report_triage_report")),
        sa.PrimaryKeyConstraint("report", name=op.f("pk_report_triage")),
    )
    op.create_table(
        "report_question",
        sa.Column("report", sa.String(length=40), nullable=False),
        sa.Column("element", sa.String(length=20), nullable=False),
        sa.Column("opened_by", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=True),
        sa.Column("answered_by", sa.Integer(), nullable=True),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["report"], ["report.id"], name=op.f("fk_report_question_report")),
        sa.PrimaryKeyConstraint("report", "element", name=op.f("pk_report_question")),
    )
    is_open = sa.text("answered_by IS NULL")
    op.create_index("ix_report_question_open", "report_question", ["report"], postgresql_where=is_open,
                    sqlite_where=is_open)  # fmt: skip
    op.create_table(
        "landmark",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("area", sa.String(length=12), nullable=False),
        sa.Column("aliases", sa.Text(), nullable=False),
        sa.Column("lat", sa.Float(), nullable=True),
        sa.Column("lon", sa.Float(), nullable=True),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("loaded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", "area", name=op.f("pk_landmark")),
    )
