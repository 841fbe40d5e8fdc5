"""Who sent an invitation: those of owners end when their sender may make no owner any more."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade():
    # Nobody is known of older invitations, which end within a week.
    with op.batch_alter_table("invitations", schema=None) as batch_op:
        batch_op.add_column(sa.Column("invited_by_id", sa.String(length=40), nullable=True))
        batch_op.create_foreign_key(batch_op.f("fk_invitations_invited_by_id_users"), "users", ["invited_by_id"], ["id"])


def downgrade():
    with op.batch_alter_table("invitations", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_invitations_invited_by_id_users"), type_="foreignkey")
        batch_op.drop_column("invited_by_id")
