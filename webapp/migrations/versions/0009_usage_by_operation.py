"""Usage by operation: what of the API a key used in an hour, and what each of those cost."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade():
    # What was counted before stays in rows of an operation without a name: nobody counted which it was.
    with op.batch_alter_table("usage", schema=None) as batch_op:
        batch_op.add_column(sa.Column("operation", sa.String(length=60), nullable=False, server_default=""))
        batch_op.drop_column("last_operation")
        batch_op.drop_constraint("pk_usage", type_="primary")
        batch_op.create_primary_key("pk_usage", ["key_id", "hour", "operation"])


def downgrade():
    op.create_table(
        "usage_by_hour",
        sa.Column("key_id", sa.String(length=40), nullable=False),
        sa.Column("hour", sa.DateTime(), nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.Column("microcredits", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.DateTime(), nullable=True),
        sa.Column("hours", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("last_address", sa.String(length=45), nullable=False, server_default=""),
        sa.Column("last_operation", sa.String(length=60), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("key_id", "hour", name="pk_usage_by_hour"),
    )
    op.execute(
        "INSERT INTO usage_by_hour (key_id, hour, calls, microcredits, last_used_at, hours) "
        "SELECT key_id, hour, sum(calls), sum(microcredits), max(last_used_at), max(hours) "
        "FROM usage GROUP BY key_id, hour"
    )
    op.drop_table("usage")
    op.rename_table("usage_by_hour", "usage")
    with op.batch_alter_table("usage", schema=None) as batch_op:
        batch_op.drop_constraint("pk_usage_by_hour", type_="primary")
        batch_op.create_primary_key("pk_usage", ["key_id", "hour"])
