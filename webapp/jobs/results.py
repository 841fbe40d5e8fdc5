"""What came of jobs: JSON text in pieces, so that a large result is stored and sent without being held as a whole."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import bindparam, select, tuple_

from webapp.core.db import AnyConnection, db, insert_rows
from webapp.core.errors import StoreAwayError
from webapp.jobs.models import Job, JobResult
from webapp.jobs.tasks import Task, derive_seed, take_point
from webapp.quantum.engines import RunResult

PIECE_CHARACTERS = 64 * 1024
PIECES_AT_A_TIME = 16
# Up to here a result is read as a whole: to be sent at once, and to be drawn on a page.
SMALL_BYTES = 512 * 1024

SINGLE = ("counts", "probabilities", "expectationValues", "memory", "statevector")
NO_SINGLE_RESULT = ", ".join(f'"{name}": null' for name in SINGLE)
NO_RESULT = f'{NO_SINGLE_RESULT}, "results": null'


# Made once: nearly every request about a job runs one of them.
PLACE = (JobResult.circuit, JobResult.piece)
FURTHER_PIECES = (
    select(*PLACE, JobResult.content)
    .where(JobResult.job_id == bindparam("job_id"))
    .where(tuple_(*PLACE) > tuple_(bindparam("circuit"), bindparam("piece")))
    .order_by(*PLACE)
    .limit(PIECES_AT_A_TIME)
)


@dataclass(frozen=True)
class Outcome:
    """What came of a job, as it is stored: for each circuit the members of a JSON object, as ASCII text.

    `engine_version` is None where circuits ran on different ones.
    """

    texts: tuple[str, ...]
    engine_version: str | None

    @property
    def columns(self) -> dict[str, Any]:
        """Give what the job's row says of it."""
        return {"engine_version": self.engine_version, "result_bytes": sum(map(len, self.texts))}


@dataclass(frozen=True)
class ResultText:
    """The members of a job's JSON that say what came of it, as ASCII text in pieces; a small one may be put together.

    `size_bytes` is exactly what the pieces come to, unless they end with an error.
    """

    pieces: Iterator[str]
    size_bytes: int
    is_small: bool = True


def write_outcome(task: Task, results: Sequence[RunResult]) -> Outcome:
    """Write what came of a job's circuits."""
    versions = {result.engine_version for result in results}
    return Outcome(
        texts=tuple(write_members(write_result(result, is_single=task.is_single)) for result in results),
        engine_version=versions.pop() if len(versions) == 1 else None,
    )


def write_result(result: RunResult, *, is_single: bool) -> dict[str, Any]:
    """Name what came of one circuit as the API does; of several, each says which version of its engine ran it."""
    return {
        **({} if is_single else {"engineVersion": result.engine_version}),
        "counts": result.counts,
        "probabilities": result.probabilities,
        "expectationValues": [
            {"observable": mean.observable, "value": mean.value, "standardError": mean.standard_error}
            for mean in result.expectation_values
        ]
        or None,
        "memory": result.memory,
        "statevector": result.statevector,
    }


def write_members(found: dict[str, Any]) -> str:
    """Write the inside of a JSON object."""
    return json.dumps(found)[1:-1]


def store_outcome(connection: AnyConnection, job_id: str, outcome: Outcome) -> None:
    """Store what came of a job, in the transaction that ends it."""
    pieces = [
        {"job_id": job_id, "circuit": circuit, "piece": piece, "content": text[start : start + PIECE_CHARACTERS]}
        for circuit, text in enumerate(outcome.texts)
        for piece, start in enumerate(range(0, len(text), PIECE_CHARACTERS))
    ]
    insert_rows(connection, JobResult, pieces)


def no_result() -> ResultText:
    """Give what is said while nothing has come of a job."""
    return ResultText(iter([NO_RESULT]), len(NO_RESULT))


def read_result(job: Job, outcome: Outcome | None = None) -> ResultText:
    """Give what came of a job: from the database, unless the outcome is at hand.

    Of a result of many pieces, no transaction is open between two of them: its reader may be slow.
    """
    if job.result_bytes is None:
        return no_result()
    is_whole = is_small(job) or outcome is not None
    pieces = read_pieces(job.id, job.result_bytes) if outcome is None else enumerate(outcome.texts)
    write = write_single if job.engines is None else partial(write_several, heads=list_heads(job))
    # Around nothing, it writes all but the pieces.
    around = write((circuit, "") for circuit in range(len(job.engines or [job.engine])))
    return ResultText(write(pieces), job.result_bytes + sum(map(len, around)), is_whole)


def list_heads(job: Job) -> list[str]:
    """Give for each of several circuits the members that the job's row knows."""
    return [
        write_members(
            {"parameters": take_point(job.parameters, index), "seed": derive_seed(job.seed, index), "engine": engine}
        )
        for index, engine in enumerate(job.engines or ())
    ]


def write_single(pieces: Iterable[tuple[int, str]]) -> Iterator[str]:
    """Write the result of a single circuit."""
    yield from (content for _, content in pieces)
    yield ', "results": null'


def write_several(pieces: Iterable[tuple[int, str]], *, heads: Sequence[str]) -> Iterator[str]:
    """Write the results of several circuits, each with its head."""
    before = f'{NO_SINGLE_RESULT}, "results": ['
    for circuit, own in groupby(pieces, key=itemgetter(0)):
        yield f"{before}{{{heads[circuit]}, "
        yield from (content for _, content in own)
        yield "}"
        before = ", "
    yield "]"


def read_pieces(job_id: str, size_bytes: int) -> Iterator[tuple[int, str]]:
    """Give the pieces of all circuits in order, each with its circuit's place.

    Raises StoreAwayError where some were deleted after the job's row was read: a part must not pass for the whole.
    """
    before = first = (-1, -1)
    sent_bytes = 0
    while True:
        rows = db.session.execute(FURTHER_PIECES, {"job_id": job_id, "circuit": before[0], "piece": before[1]}).all()
        is_last = len(rows) < PIECES_AT_A_TIME
        if not is_last or before != first:
            db.session.rollback()
        yield from ((circuit, content) for circuit, _, content in rows)
        sent_bytes += sum(len(row.content) for row in rows)
        if is_last and sent_bytes < size_bytes:
            raise StoreAwayError("The result was deleted while it was read. Read the job again.")
        if is_last:
            return
        before = (rows[-1].circuit, rows[-1].piece)


def is_small(job: Job) -> bool:
    """Tell whether what came of a job may be read as a whole."""
    return (job.result_bytes or 0) <= SMALL_BYTES


def load_result(job: Job) -> dict[str, Any]:
    """Give what came of a job as the API has it, to be drawn; all of it is None where it is too large for that."""
    text = "".join(read_result(job).pieces) if is_small(job) else NO_RESULT
    found: dict[str, Any] = json.loads(f"{{{text}}}")
    return found
