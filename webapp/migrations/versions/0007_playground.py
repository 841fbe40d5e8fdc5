"""Jobs that members run in the console, with no key."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade():
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.alter_column("key_id", existing_type=sa.String(length=40), nullable=True)
        batch_op.add_column(sa.Column("created_by_id", sa.String(length=40), nullable=True))
        batch_op.create_foreign_key(batch_op.f("fk_jobs_created_by_id_users"), "users", ["created_by_id"], ["id"])
    with op.batch_alter_table("open_holds", schema=None) as batch_op:
        batch_op.alter_column("key_id", existing_type=sa.String(length=40), nullable=True)


def downgrade():
    # What the console ran has no key to be given to: this fails while there is any.
    with op.batch_alter_table("open_holds", schema=None) as batch_op:
        batch_op.alter_column("key_id", existing_type=sa.String(length=40), nullable=False)
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_jobs_created_by_id_users"), type_="foreignkey")
        batch_op.drop_column("created_by_id")
        batch_op.alter_column("key_id", existing_type=sa.String(length=40), nullable=False)
