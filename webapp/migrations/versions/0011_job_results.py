"""Results of jobs in pieces, in a table of their own."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

PIECE_CHARACTERS = 64 * 1024
SINGLE = ("counts", "probabilities", "further_results")
FURTHER = ("expectationValues", "memory", "statevector")

jobs = sa.table(
    "jobs",
    *(sa.column(name) for name in ("id", "status", "completed_at", "result_bytes")),
    *(sa.column(name, sa.JSON(none_as_null=True)) for name in (*SINGLE, "results", "engines")),
)
job_results = sa.table("job_results", *(sa.column(name) for name in ("job_id", "circuit", "piece", "content")))
saved_answers = sa.table(
    "saved_answers", sa.column("organisation_id"), sa.column("key"), sa.column("body", sa.JSON(none_as_null=True))
)


def upgrade():
    op.create_table(
        "job_results",
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("circuit", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("piece", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_results_job_id_jobs")),
        sa.PrimaryKeyConstraint("job_id", "circuit", "piece", name=op.f("pk_job_results")),
    )
    # Added and dropped one by one: SQLite does so in place where the batch mode would copy the table.
    op.add_column("jobs", sa.Column("result_bytes", sa.Integer(), nullable=True))
    connection = op.get_bind()
    for job_id in list_completed(connection):
        split_result(connection, job_id)
    for name in (*SINGLE, "results"):
        op.drop_column("jobs", name)
    # What is repeated of a result is read from where it is.
    for organisation_id, key, body in connection.execute(sa.select(saved_answers)).all():
        kept = {name: value for name, value in body.items() if name not in {*SINGLE, *FURTHER, "results"}}
        is_this = (saved_answers.c.organisation_id == organisation_id) & (saved_answers.c.key == key)
        connection.execute(sa.update(saved_answers).where(is_this).values(body=kept))


def list_completed(connection):
    return connection.scalars(sa.select(jobs.c.id).where(jobs.c.status == "completed")).all()


def split_result(connection, job_id):
    columns = [jobs.c[name] for name in (*SINGLE, "results")]
    found = connection.execute(sa.select(*columns).where(jobs.c.id == job_id)).one()
    if found.counts is None and found.results is None:
        return
    single = {"counts": found.counts, "probabilities": found.probabilities, **(found.further_results or {})}
    texts = [
        json.dumps({**dict.fromkeys(("probabilities", *FURTHER)), **circuit})[1:-1] for circuit in found.results or [single]
    ]
    for circuit, text in enumerate(texts):
        for piece, start in enumerate(range(0, len(text), PIECE_CHARACTERS)):
            content = text[start : start + PIECE_CHARACTERS]
            row = {"job_id": job_id, "circuit": circuit, "piece": piece, "content": content}
            connection.execute(sa.insert(job_results).values(**row))
    connection.execute(sa.update(jobs).where(jobs.c.id == job_id).values(result_bytes=sum(map(len, texts))))


def downgrade():
    for name in (*SINGLE, "results"):
        op.add_column("jobs", sa.Column(name, sa.JSON(), nullable=True))
    connection = op.get_bind()
    for job_id in list_completed(connection):
        join_result(connection, job_id)
    op.drop_column("jobs", "result_bytes")
    op.drop_table("job_results")


def join_result(connection, job_id):
    pieces = sa.select(job_results.c.circuit, job_results.c.content).where(job_results.c.job_id == job_id)
    texts = {}
    for circuit, content in connection.execute(pieces.order_by(job_results.c.circuit, job_results.c.piece)):
        texts[circuit] = texts.get(circuit, "") + content
    if not texts:
        return
    results = [json.loads("{" + text + "}") for text in texts.values()]
    if "engineVersion" in results[0]:
        values = {"results": results}
    else:
        further = {name: results[0][name] for name in FURTHER if results[0][name]}
        values = {**{name: results[0][name] for name in SINGLE[:2]}, "further_results": further or None}
    connection.execute(sa.update(jobs).where(jobs.c.id == job_id).values(**values))
