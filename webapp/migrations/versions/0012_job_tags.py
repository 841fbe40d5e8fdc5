"""Tags and metadata of jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade():
    # Added and dropped one by one: SQLite does so in place where the batch mode would copy the table.
    op.add_column("jobs", sa.Column("tags", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("jobs", sa.Column("metadata", sa.JSON(none_as_null=True), nullable=True))
    op.create_table(
        "job_tags",
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("tag", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_job_tags_organisation_id_organisations")
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_tags_job_id_jobs")),
        sa.PrimaryKeyConstraint("organisation_id", "tag", "job_id", name=op.f("pk_job_tags")),
    )


def downgrade():
    op.drop_table("job_tags")
    op.drop_column("jobs", "metadata")
    op.drop_column("jobs", "tags")
