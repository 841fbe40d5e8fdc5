"""Lanes, turns and saved answers of jobs; holds of open jobs; the amount above which jobs must be confirmed."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

IS_OPEN = sa.text("status IN ('queued', 'running')")


def upgrade():
    op.create_table(
        "open_holds",
        sa.Column("hold_id", sa.String(length=40), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("microcredits", sa.BigInteger(), nullable=False),
        sa.Column("key_id", sa.String(length=40), nullable=False),
        sa.Column("held_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], name=op.f("fk_open_holds_key_id_api_keys")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_open_holds_organisation_id_organisations")
        ),
        sa.PrimaryKeyConstraint("hold_id", name=op.f("pk_open_holds")),
    )
    with op.batch_alter_table("open_holds", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_open_holds_organisation_id"), ["organisation_id"], unique=False)

    op.create_table(
        "job_turns",
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("served_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_job_turns_organisation_id_organisations")
        ),
        sa.PrimaryKeyConstraint("organisation_id", name=op.f("pk_job_turns")),
    )

    # Added one by one: SQLite adds columns in place where the batch mode would copy the table.
    op.add_column("jobs", sa.Column("lane", sa.String(length=10), nullable=False, server_default="inline"))
    op.add_column("jobs", sa.Column("attempt", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("losses", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("heartbeat_at", sa.DateTime(), nullable=True))
    op.add_column("jobs", sa.Column("result_deleted_at", sa.DateTime(), nullable=True))
    op.add_column("jobs", sa.Column("circuit", sa.JSON(), nullable=True))
    op.add_column("jobs", sa.Column("options", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("jobs", sa.Column("further_results", sa.JSON(), nullable=True))
    op.create_index(
        "ix_jobs_open", "jobs", ["status", "organisation_id", "id"], sqlite_where=IS_OPEN, postgresql_where=IS_OPEN
    )
    op.create_index(op.f("ix_jobs_completed_at"), "jobs", ["completed_at"])
    op.add_column("organisations", sa.Column("confirm_above_microcredits", sa.BigInteger(), nullable=True))

    op.create_table(
        "saved_answers",
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_saved_answers_job_id_jobs")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_saved_answers_organisation_id_organisations")
        ),
        sa.PrimaryKeyConstraint("organisation_id", "key", name=op.f("pk_saved_answers")),
    )
    with op.batch_alter_table("saved_answers", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_saved_answers_created_at"), ["created_at"], unique=False)


def downgrade():
    op.drop_table("saved_answers")
    op.drop_column("organisations", "confirm_above_microcredits")
    op.drop_index(op.f("ix_jobs_completed_at"), table_name="jobs")
    op.drop_index("ix_jobs_open", table_name="jobs")
    for name in ("further_results", "options", "circuit", "result_deleted_at", "heartbeat_at", "losses", "attempt", "lane"):
        op.drop_column("jobs", name)
    op.drop_table("job_turns")
    op.drop_table("open_holds")
