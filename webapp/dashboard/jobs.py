"""Jobs: the list, one job with its result, and the result as a file."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from flask import flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from webapp.accounts.queries import get_user
from webapp.accounts.roles import Permission
from webapp.authentication import permission_required
from webapp.core import clock
from webapp.core.errors import UpcubeError
from webapp.core.large_work import LARGE_BYTES, LARGE_OPERATIONS, large_work_in_turn
from webapp.core.text import has_control_characters
from webapp.dashboard import dashboard
from webapp.dashboard.charts import SHOWN_OUTCOMES, list_amplitudes, make_chart, make_curves
from webapp.dashboard.diagrams import Diagram, draw
from webapp.dashboard.exports import send_file
from webapp.dashboard.playground_drafts import fits_playground
from webapp.dashboard.visitor import get_asked_key, get_own_organisation
from webapp.extensions import runtime
from webapp.jobs import operations
from webapp.jobs.models import Job, JobStatus
from webapp.jobs.operations import JobEndedError
from webapp.jobs.program_texts import add_program
from webapp.jobs.queries import get_job, list_jobs
from webapp.jobs.readers import send_in_turn
from webapp.jobs.results import is_small, load_result, read_result
from webapp.jobs.states import OPEN
from webapp.jobs.tasks import Work, task_of
from webapp.jobs.turns import QueuePlace, find_place
from webapp.keys.queries import get_key
from webapp.quantum.openqasm import to_openqasm3

JOBS_PER_PAGE = 25
# Nearer to the front of the queue, a page looks every moment whether its job has started; farther back, every 5 s.
SOON = 10
# In links to further pages, the last job of the page before.
JOB_ID = re.compile(r"job_[0-9a-z]{26}")
PLACE = re.compile(r"[0-9]{1,3}", re.ASCII)


@dataclass(frozen=True)
class Program:
    """What is shown of a circuit: its drawing, and its text as it was `sent`, or as OpenQASM 3 where it was not text.

    Empty where there is none; a program that is too large for a page has only its size.
    """

    drawn: Diagram | None = None
    sent: str = ""
    openqasm: str = ""
    too_large_bytes: int = 0


@dataclass(frozen=True)
class Part:
    """One circuit of a batch or a sweep, and what came of it, which is empty until the job has ended well."""

    work: Work
    engine: str
    result: Mapping[str, Any]

    @property
    def most_frequent(self) -> tuple[str, int] | None:
        """Give the most frequent outcome and its count."""
        counts: Mapping[str, int] = self.result.get("counts") or {}
        return min(counts.items(), key=lambda item: (-item[1], item[0]), default=None)


@dashboard.get("/console/jobs")
@permission_required(Permission.JOBS_READ)
def jobs() -> ResponseReturnValue:
    """List the organisation's jobs, newest first: all, or those of one key or with one tag.

    The field for a tag takes the id of a job too, which leads to that job.
    """
    status = request.args.get("status", "")
    cursor = request.args.get("cursor", "")
    tag = request.args.get("tag", "")
    if JOB_ID.fullmatch(tag.strip()):
        return redirect(url_for("dashboard.job", job_id=tag.strip()))
    # No tag has any, and PostgreSQL could not be asked for a NUL.
    tag = "" if has_control_characters(tag) else tag
    key = get_asked_key()
    page = list_jobs(
        organisation_id=get_own_organisation().id,
        key_id=key.id if key else None,
        limit=JOBS_PER_PAGE,
        cursor=cursor if JOB_ID.fullmatch(cursor) else None,
        status=status if status in set(JobStatus) else None,
        tag=tag or None,
    )
    return render_template(
        "jobs.html", page=page, status=status, statuses=list(JobStatus), cursor=cursor, key=key, tag=tag
    )


@dashboard.get("/console/jobs/<job_id>")
@permission_required(Permission.JOBS_READ)
def job(job_id: str) -> ResponseReturnValue:
    """Show one job. A page that watches an open job is made anew only when something has happened."""
    found = get_job(organisation_id=get_own_organisation().id, job_id=job_id)
    place = find_place(found, workers=runtime().jobs.limits.workers, at=clock.now()) if found.status in OPEN else None
    tag = f"{found.status}-{found.attempt}-{place.position if place else 0}"
    if request.if_none_match.contains(tag):
        return "", 304
    with large_work_in_turn(found.organisation_id):
        answer = make_response(render_job(found, place))
    answer.set_etag(tag)
    return answer


@dashboard.post("/console/jobs/<job_id>/cancel")
@permission_required(Permission.JOBS_MANAGE)
def cancel_job(job_id: str) -> ResponseReturnValue:
    """Cancel a job that has not ended."""
    try:
        operations.cancel_job(organisation_id=get_own_organisation().id, job_id=job_id, at=clock.now())
    except JobEndedError as error:
        flash(error.message)
    return redirect(url_for("dashboard.job", job_id=job_id))


def render_job(found: Job, place: QueuePlace | None) -> str:
    """Render a job's page; of a batch or a sweep, with one circuit of those in its table shown in full."""
    whole = load_result(found)
    parts = list_parts(found, whole)
    shown = find_shown(parts)
    program = find_program(found, shown)
    result = parts[shown].result if parts else whole
    rerun_body = make_rerun_body(found)
    return render_template(
        "job.html",
        job=found,
        is_open=found.status in OPEN,
        is_soon=place is None or place.position <= SOON,
        is_drawn=is_small(found),
        place=place,
        parts=parts,
        shown=shown,
        means=result.get("expectationValues") or [],
        key=get_key(found.key_id) if found.key_id else None,
        runner=get_user(found.created_by_id) if found.created_by_id else None,
        chart=make_chart(result, shots=found.shots),
        amplitudes=list_amplitudes(result),
        shown_outcomes=SHOWN_OUTCOMES,
        curves=make_curves(found.parameters, [part.result for part in parts], shown=shown) if parts else None,
        rerun_body=rerun_body if len(json.dumps(rerun_body)) <= LARGE_BYTES else None,
        fits_playground=fits_playground(found),
        program=program,
    )


@dashboard.get("/console/jobs/<job_id>/result.json")
@permission_required(Permission.JOBS_READ)
def job_result(job_id: str) -> ResponseReturnValue:
    """Give the result as a file."""
    found = get_job(organisation_id=get_own_organisation().id, job_id=job_id)
    head = {
        "id": found.id,
        "templateId": found.template_id,
        "parameters": found.parameters,
        "options": found.options,
        "shots": found.shots,
        "seed": found.seed,
        "bitOrder": "Classical bit 0 is the rightmost character.",
    }
    text = send_in_turn(found.organisation_id, head, add_program(found, read_result(found), is_whole=False))
    file = send_file(text.pieces, name=f"{found.id}.json", mimetype="application/json")
    file.content_length = text.size_bytes
    return file


def list_parts(job: Job, result: Mapping[str, Any]) -> list[Part]:
    """Give the circuits of a batch or a sweep; none for a job of a single circuit."""
    if job.engines is None:
        return []
    results = result["results"] or [{} for _ in job.engines]
    works = task_of(job).list_works()
    return [Part(work, engine, found) for work, engine, found in zip(works, job.engines, results, strict=True)]


def find_shown(parts: Sequence[Part]) -> int:
    """Give which circuit the page was asked to show; the first, unless it was asked for one that there is."""
    asked = request.args.get("circuit", "")
    return int(asked) if PLACE.fullmatch(asked) and int(asked) < len(parts) else 0


def make_rerun_body(job: Job) -> dict[str, object]:
    """Make the body that gives the same counts again."""
    subjects = {"templateId": job.template_id, "circuit": job.circuit, "circuits": job.circuits}
    body: dict[str, object] = {name: value for name, value in subjects.items() if value}
    body |= {"shots": job.shots, "seed": job.seed, **job.options}
    if job.parameters:
        body["parameters"] = job.parameters
    return body


def find_program(job: Job, index: int) -> Program:
    """Give what is shown of one of the job's circuits.

    Nothing where its template or its format is no longer read as it was, nor while other large programs are being read:
    the page's result does not wait for those. A large program is not read for a page at all.
    """
    work = next(islice(task_of(job).list_works(), index, None))
    source = work.circuit["source"] if work.circuit else ""
    written = source if isinstance(source, str) else json.dumps(source)
    if len(written) > LARGE_BYTES:
        return Program(too_large_bytes=len(written))
    try:
        circuit = work.make_circuit()
    except UpcubeError:
        return Program(sent=written)
    if work.circuit and isinstance(source, str):
        return Program(drawn=draw(circuit), sent=source)
    is_short = len(circuit.operations) <= LARGE_OPERATIONS
    return Program(drawn=draw(circuit), openqasm=to_openqasm3(circuit) if is_short else "", sent=written)
