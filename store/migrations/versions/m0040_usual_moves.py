"""PostgreSQL passes the usual moves of a delivery at sight; the table of moves is asked about all others."""

from alembic import op

from store import guards

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

USUAL = (("queued", "sending"), ("sending", "accepted"), ("sending", "sent"), ("sent", "delivered"))


def upgrade() -> None:
    for statement in guards.passed_at_sight("delivery", USUAL, op.get_context().dialect.name):
        op.execute(statement)
