"""Jobs: circuits run, and their results."""

from flask import url_for

from webapp.api import api
from webapp.api.responses import JobJson, JobListJson, JobSummaryJson
from webapp.api.schemas import JobBody, JobListQuery, read_job_body, read_query, takes
from webapp.authentication import key_required
from webapp.core import clock
from webapp.core.clock import format_time
from webapp.core.money import format_credits
from webapp.extensions import runtime
from webapp.hooks import get_principal
from webapp.jobs.models import Job
from webapp.jobs.operations import JobRequest, Submitter, submit_job
from webapp.jobs.queries import get_job, list_jobs
from webapp.keys.models import KeyMode


@api.post("/jobs")
@key_required("jobs:write")
@takes(body=JobBody)
def create_job() -> tuple[JobJson, int, dict[str, str]]:
    """Run a circuit and give its result."""
    principal = get_principal()
    job = submit_job(
        submitter=Submitter(
            principal.key_id,
            principal.organisation_id,
            principal.shard_tag,
            is_test=principal.mode == KeyMode.TEST,
        ),
        request=read_request(read_job_body(max_bytes=runtime().max_body_bytes)),
        limits=runtime().job_limits,
        at=clock.now(),
    )
    return render_job(job), 201, {"Location": url_for("api.read_job", job_id=job.id)}


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
    )
    return {"jobs": [render_summary(job) for job in page.rows], "nextCursor": page.next_cursor}


@api.get("/jobs/<job_id>")
@key_required("jobs:read")
def read_job(job_id: str) -> JobJson:
    """Give one job with its result."""
    return render_job(get_job(organisation_id=get_principal().organisation_id, job_id=job_id))


def read_request(body: JobBody) -> JobRequest:
    """Put a checked body into the operation's terms."""
    return JobRequest(
        template_id=body.template_id,
        parameters=body.parameters,
        backend_id=body.backend,
        shots=body.shots,
        seed=body.seed,
        name=body.name,
        max_microcredits=body.max_credits,
    )


def render_job(job: Job) -> JobJson:
    """Write a job with its result as JSON."""
    return {
        **render_summary(job),
        "counts": job.counts,
        "probabilities": job.probabilities,
        "bitOrder": "Classical bit 0 is the rightmost character.",
        "expectationValues": None,
    }


def render_summary(job: Job) -> JobSummaryJson:
    """Write a job without its result, which may be large, as JSON."""
    return {
        "id": job.id,
        "name": job.name,
        "status": job.status,
        "templateId": job.template_id,
        "parameters": job.parameters,
        "backend": job.backend,
        "engine": job.engine,
        "engineVersion": job.engine_version,
        "engineReason": job.engine_reason,
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
