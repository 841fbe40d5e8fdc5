"""The programs of jobs as JSON text: a stored one is sent as it is stored, and never parsed for that."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace

import sqlalchemy as sa

from webapp.core.db import db
from webapp.jobs.models import Job
from webapp.jobs.results import SMALL_BYTES, ResultText

NO_PROGRAM = '"circuit": null, "circuits": null, '
CIRCUIT, CIRCUITS = sa.cast(Job.circuit, sa.Text), sa.cast(Job.circuits, sa.Text)
# One of the two is null.
SIZE = sa.func.length(sa.func.coalesce(CIRCUIT, CIRCUITS))
IS_JOB = Job.id == sa.bindparam("job_id")
STORED_PROGRAMS, STORED_SIZE = sa.select(CIRCUIT, CIRCUITS).where(IS_JOB), sa.select(SIZE).where(IS_JOB)


def add_program(job: Job, result: ResultText, *, is_whole: bool) -> ResultText:
    """Put the members that say what a job runs, as ASCII text, before those that say what came of it.

    A large program makes the whole large, as a large result does, unless all of it is wanted at once. It is read from
    the database when it is sent, unless the job has it at hand.
    """
    if job.template_id is not None:
        return put_before([NO_PROGRAM], result, size_bytes=len(NO_PROGRAM))
    if sa.inspect(job).dict.keys() >= {"circuit", "circuits"}:
        text = f'"circuit": {json.dumps(job.circuit)}, "circuits": {json.dumps(job.circuits)}, '
        return put_before([text], result, size_bytes=len(text))
    program_bytes = db.session.execute(STORED_SIZE, {"job_id": job.id}).scalar_one()
    # The other of the two is null.
    size_bytes = len(NO_PROGRAM) - len("null") + program_bytes
    is_small = result.is_small and (is_whole or program_bytes <= SMALL_BYTES)
    return replace(put_before(read_program(job.id), result, size_bytes=size_bytes), is_small=is_small)


def put_before(texts: Iterable[str], result: ResultText, *, size_bytes: int) -> ResultText:
    """Put texts before a result."""
    return replace(result, pieces=chain_begun(texts, result.pieces), size_bytes=size_bytes + result.size_bytes)


def chain_begun(texts: Iterable[str], pieces: Iterator[str]) -> Iterator[str]:
    """Give texts and then pieces, once both have been begun: what fails there fails before anything is sent."""
    first = next(pieces)
    yield from texts
    yield first
    yield from pieces


def read_program(job_id: str) -> Iterator[str]:
    """Read a stored job's programs, with no transaction left open while they are sent."""
    circuit, circuits = db.session.execute(STORED_PROGRAMS, {"job_id": job_id}).one()
    db.session.rollback()
    yield from ('"circuit": ', circuit or "null", ', "circuits": ', circuits or "null", ", ")
