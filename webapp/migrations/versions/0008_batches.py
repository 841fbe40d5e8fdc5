"""Batches and sweeps: several circuits in a job, their engines and their results."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade():
    # Added one by one: SQLite adds columns in place where the batch mode would copy the table.
    for name in ("circuits", "engines", "results"):
        op.add_column("jobs", sa.Column(name, sa.JSON(), nullable=True))


def downgrade():
    # What several circuits gave has no other place: their jobs stay, without results.
    for name in ("results", "engines", "circuits"):
        op.drop_column("jobs", name)
