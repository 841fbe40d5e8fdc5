"""Budgets, and the thresholds of them that were told."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "budgets",
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("spender", sa.String(length=40), nullable=False),
        sa.Column("period", sa.String(length=5), nullable=False),
        sa.Column("microcredits", sa.BigInteger(), nullable=False),
        sa.Column("refuses", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.CheckConstraint("microcredits >= 0", name=op.f("ck_budgets_not_negative")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_budgets_organisation_id_organisations")
        ),
        sa.PrimaryKeyConstraint("organisation_id", "spender", "period", name=op.f("pk_budgets")),
    )
    op.create_table(
        "budget_alerts",
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("spender", sa.String(length=40), nullable=False),
        sa.Column("period", sa.String(length=5), nullable=False),
        sa.Column("period_start", sa.DateTime(), nullable=False),
        sa.Column("threshold_percent", sa.Integer(), nullable=False),
        sa.Column("microcredits", sa.BigInteger(), nullable=False),
        sa.Column("reached_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_budget_alerts_organisation_id_organisations")
        ),
        sa.PrimaryKeyConstraint(
            "organisation_id",
            "spender",
            "period",
            "period_start",
            "threshold_percent",
            name=op.f("pk_budget_alerts"),
        ),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("budget_alerts")
    op.drop_table("budgets")
