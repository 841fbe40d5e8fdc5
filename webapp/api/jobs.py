"""Jobs: circuits run, and their results."""

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from flask import Response, stream_with_context

from webapp.api import api
from webapp.api.job_responses import EstimateJson, JobHeadJson, JobJson, JobListJson, JobSummaryJson, QueueJson
from webapp.api.job_schemas import JobBody, read_job_body
from webapp.api.preferences import IDEMPOTENCY, PREFER, read_idempotency_key, read_preferences
from webapp.api.schemas import JobListQuery, answers, read_query, takes
from webapp.authentication import key_required
from webapp.core import clock
from webapp.core.clock import format_time
from webapp.core.large_work import large_work_in_turn
from webapp.core.money import format_credits
from webapp.endpoints import API_PREFIX
from webapp.extensions import runtime
from webapp.hooks import get_principal
from webapp.jobs import estimate, operations
from webapp.jobs.idempotency import Repeatable, replace_answer
from webapp.jobs.models import Job, JobStatus, SavedAnswer
from webapp.jobs.operations import NewJob, Submitter
from webapp.jobs.plans import JobRequest
from webapp.jobs.program_texts import add_program
from webapp.jobs.queries import get_job, list_jobs
from webapp.jobs.readers import TooManyReadersError, send_in_turn
from webapp.jobs.results import ResultText, no_result, read_result
from webapp.jobs.states import OPEN
from webapp.jobs.turns import find_place
from webapp.jobs.waiting import wait_for_job
from webapp.keys.models import KeyMode

CREATE_CONFLICT = (
    "The price wants confirming: send the same body with this quoteId as confirm. Or the Idempotency-Key belongs to "
    "another request (idempotency_conflict), or the same request is being answered now (idempotency_in_progress)."
)


@api.post("/jobs")
@key_required("jobs:write")
@takes(body=JobBody, headers=(PREFER, IDEMPOTENCY))
@answers(
    {201: "The job has ended; here is its result.", 202: "The job is queued: read it at Location."},
    shape=JobJson,
    conflict=CREATE_CONFLICT,
)
def create_job() -> Response:
    """Run a circuit, a batch or a sweep and give what came of it, or queue it for a worker."""
    preferences, key = read_preferences(), read_idempotency_key()
    # Written once: what is saved for a repeat is what is sent now.
    write_answer = cache(answer_job)
    with large_work_in_turn(get_principal().organisation_id):
        answer = submit(key, wants_worker=preferences.respond_async, write_answer=write_answer)
    if isinstance(answer, SavedAnswer):
        return repeat_answer(answer)
    job = answer.job
    head, status = write_answer(job)
    if preferences.wait_seconds and job.status in OPEN:
        job = wait_for_job(job, seconds=preferences.wait_seconds)
        head, status = answer_job(job)
        if key and job.status not in OPEN:
            replace_answer(job, key, body=head, status=status)
    headers = {"Location": job_address(job.id)}
    try:
        result = read_result(job, answer.outcome)
        return send_job(job, head, result, status=status, headers=headers, is_whole=True)
    except TooManyReadersError:
        # It is paid for by now, and nobody must send it again: it is read at Location, as if nobody had waited.
        queued, status = write_answer(answer.job)
        return send_job(answer.job, queued, no_result(), status=status, headers=headers, is_whole=True)


def submit(
    key: str | None, *, wants_worker: bool, write_answer: Callable[[Job], tuple[JobHeadJson, int]]
) -> NewJob | SavedAnswer:
    """Read what to run, and run or queue it; what was read, which may be large, is kept by nobody else."""
    request = read_request()
    return operations.submit_job(
        submitter=get_submitter(),
        request=request,
        service=runtime().jobs,
        wants_worker=wants_worker,
        repeatable=Repeatable(key, request.digest, write_answer) if key else None,
        at=clock.now(),
    )


@api.post("/jobs/estimate")
@key_required("jobs:write")
@takes(body=JobBody, headers=(PREFER,))
@answers({200: "What the job would cost, and what every gate says."})
def estimate_job() -> EstimateJson:
    """Tell what a job would cost, where it would run, and what every gate says of it; nothing is run or held."""
    submitter = get_submitter()
    with large_work_in_turn(submitter.organisation_id):
        found = estimate.estimate_job(
            submitter=submitter,
            request=read_request(),
            service=runtime().jobs,
            wants_worker=read_preferences().respond_async,
            at=clock.now(),
        )
        return render_estimate(found)


@api.post("/jobs/<job_id>/cancel")
@key_required("jobs:write")
@answers({200: "The job is cancelled."}, shape=JobJson, conflict="The job has ended already; jobStatus says how.")
def cancel_job(job_id: str) -> Response:
    """Cancel a job that has not ended. It costs nothing, even if it had started."""
    job = operations.cancel_job(organisation_id=get_principal().organisation_id, job_id=job_id, at=clock.now())
    return send_job(job, render_head(job), read_result(job), is_whole=True)


@api.get("/jobs")
@key_required("jobs:read")
@takes(query=JobListQuery)
def read_jobs() -> JobListJson:
    """List the account's jobs, newest first."""
    query = read_query(JobListQuery)
    page = list_jobs(
        organisation_id=get_principal().organisation_id,
        limit=query.limit,
        cursor=query.cursor,
        status=query.status,
        backend=query.backend,
        tag=query.tag,
    )
    return {"jobs": [render_summary(job) for job in page.rows], "nextCursor": page.next_cursor}


@api.get("/jobs/<job_id>")
@key_required("jobs:read")
@answers({200: "Done."}, shape=JobJson)
def read_job(job_id: str) -> Response:
    """Give one job with its result."""
    job = get_job(organisation_id=get_principal().organisation_id, job_id=job_id)
    return send_job(job, render_head(job), read_result(job))


def get_submitter() -> Submitter:
    """Give the key that pays for what this request runs."""
    principal = get_principal()
    return Submitter(
        principal.key_id,
        principal.organisation_id,
        principal.shard_tag,
        is_test=principal.mode == KeyMode.TEST,
    )


def read_request() -> JobRequest:
    """Put the checked body into the operation's terms."""
    body = read_job_body(max_bytes=runtime().max_body_bytes)
    return JobRequest(
        template_id=body.template_id,
        circuit=body.circuit.model_dump() if body.circuit else None,
        circuits=[circuit.model_dump() for circuit in body.circuits] if body.circuits else None,
        parameters=body.parameters,
        options=body.options,
        backend_id=body.backend,
        shots=body.shots,
        seed=body.seed,
        name=body.name,
        tags=body.tags,
        metadata=body.metadata,
        max_microcredits=body.max_credits,
        quote_id=body.confirm,
    )


def job_address(job_id: str) -> str:
    """Give the path of a job."""
    return f"{API_PREFIX}/jobs/{job_id}"


def answer_job(job: Job) -> tuple[JobHeadJson, int]:
    """Answer with a new job: 201 once it has ended, 202 while a worker has it or will have it."""
    return render_head(job), 202 if job.status in OPEN else 201


def repeat_answer(saved: SavedAnswer) -> Response:
    """Answer as the first time: with the job's result where it had ended by then."""
    job = get_job(organisation_id=saved.organisation_id, job_id=saved.job_id)
    result = read_result(job) if saved.body["status"] == JobStatus.COMPLETED else no_result()
    headers = {"Location": job_address(job.id), "Idempotency-Replayed": "true"}
    return send_job(job, saved.body, result, status=saved.status, headers=headers, is_whole=True)


def send_job(
    job: Job,
    head: Mapping[str, Any],
    result: ResultText,
    *,
    status: int = 200,
    headers: Mapping[str, str] = MappingProxyType({}),
    is_whole: bool = False,
) -> Response:
    """Send a job's JSON, of which program and result are text already: see readers.py. Raises TooManyReadersError.

    A program alone is no reason for that where its answer `is_whole`: to who has just sent it, be it again, or
    cancelled the job.
    """
    result = add_program(job, result, is_whole=is_whole)
    text = send_in_turn(job.organisation_id, head, result)
    pieces = text.pieces if result.is_small else stream_with_context(iter(text.pieces))
    response = Response(pieces, status=status, headers=dict(headers), mimetype="application/json")
    response.content_length = text.size_bytes
    return response


def render_estimate(found: estimate.Estimate) -> EstimateJson:
    """Write an estimate as JSON."""
    plan, price = found.plan, found.plan.price
    return {
        "backend": plan.backend.id,
        "engine": plan.engine,
        "engineReason": plan.engine_reason,
        "lane": plan.lane,
        "circuitCount": len(plan.runs),
        "qubits": plan.qubits,
        "operations": plan.gates,
        "memoryBytes": plan.memory_bytes,
        "shots": plan.task.shots,
        "price": {
            "total": format_credits(price.total),
            "base": format_credits(price.base),
            "work": format_credits(price.work),
            "shots": format_credits(price.shots),
            "priceList": price.version,
        },
        "wouldBeAccepted": found.would_be_accepted,
        "gates": [
            {
                "name": verdict.name,
                "passed": verdict.passed,
                "limit": verdict.limit,
                "value": verdict.value,
                "message": verdict.message or None,
            }
            for verdict in found.verdicts
        ],
        "quoteId": found.quote.id if found.quote else None,
        "quoteExpiresAt": format_time(found.quote.expires_at) if found.quote else None,
    }


def render_head(job: Job) -> JobHeadJson:
    """Write a job as JSON, without its program and what came of it: those are added as text."""
    return {
        **render_summary(job),
        "queue": render_place(job),
        "bitOrder": "Classical bit 0 is the rightmost character.",
        "resultDeletedAt": format_time(job.result_deleted_at) if job.result_deleted_at else None,
    }


def render_place(job: Job) -> QueueJson | None:
    """Write where a queued job stands; null for any other."""
    if job.status != JobStatus.QUEUED:
        return None
    place = find_place(job, workers=runtime().jobs.limits.workers, at=clock.now())
    if place is None:
        return None
    return {"position": place.position, "estimatedStartAt": format_time(place.estimated_start_at)}


def render_summary(job: Job) -> JobSummaryJson:
    """Write a job without its result, which may be large, as JSON."""
    return {
        "id": job.id,
        "name": job.name,
        "tags": job.tags or [],
        "metadata": job.notes or {},
        "status": job.status,
        "lane": job.lane,
        "templateId": job.template_id,
        "parameters": job.parameters,
        "options": job.options,
        "backend": job.backend,
        "engine": job.engine,
        "engineVersion": job.engine_version,
        "engineReason": job.engine_reason,
        "circuitCount": len(job.engines) if job.engines else 1,
        "qubits": job.qubits,
        "shots": job.shots,
        "seed": job.seed,
        "cost": {
            "estimated": format_credits(job.estimated_microcredits),
            "held": format_credits(job.held_microcredits),
            "charged": format_credits(job.charged_microcredits),
            "priceList": job.price_list,
        },
        "createdAt": format_time(job.created_at),
        "startedAt": format_time(job.started_at) if job.started_at else None,
        "completedAt": format_time(job.completed_at) if job.completed_at else None,
        "error": job.error,
    }
