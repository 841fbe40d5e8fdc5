"""The programs of jobs as JSON text: a stored one is sent as it is stored, and never parsed for that."""

import json
from dataclasses import replace
from itertools import chain

import sqlalchemy as sa

from webapp.core.db import db
from webapp.jobs.models import Job
from webapp.jobs.results import SMALL_BYTES, ResultText

NO_PROGRAM = '"circuit": null, "circuits": null, '
STORED_PROGRAMS = sa.select(sa.cast(Job.circuit, sa.Text), sa.cast(Job.circuits, sa.Text)).where(
    Job.id == sa.bindparam("job_id")
)


def add_program(job: Job, result: ResultText, *, is_whole: bool) -> ResultText:
    """Put the members that say what a job runs before those that say what came of it.

    A large program makes the whole large, as a large result does, unless all of it is wanted at once.
    """
    text = write_program(job)
    return replace(
        result,
        pieces=chain([text], result.pieces),
        is_small=result.is_small and (is_whole or len(text) <= SMALL_BYTES),
    )


def write_program(job: Job) -> str:
    """Write the members, as ASCII text; from the database, unless the job has them at hand."""
    if job.template_id is not None:
        return NO_PROGRAM
    if sa.inspect(job).dict.keys() >= {"circuit", "circuits"}:
        circuit, circuits = json.dumps(job.circuit), json.dumps(job.circuits)
    else:
        stored = db.session.execute(STORED_PROGRAMS, {"job_id": job.id}).one()
        circuit, circuits = (text or "null" for text in stored)
    return f'"circuit": {circuit}, "circuits": {circuits}, '
