"""What makes jobs, and what cancels them. What runs them on a worker is in running.py."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from webapp.core import clock
from webapp.core.db import AnyConnection, bare_transaction, insert_rows, new_row, transaction
from webapp.core.errors import UpcubeError
from webapp.core.faults import fault
from webapp.core.ids import new_id
from webapp.jobs.confirmation import ask_for_price, quoting
from webapp.jobs.ending import (
    Failure,
    add_job_charge,
    add_job_usage,
    end_stored_job,
    identify,
)
from webapp.jobs.gates import check_plan
from webapp.jobs.idempotency import (
    Repeatable,
    StillAnsweringError,
    answering,
    find_answer,
    save_answer,
)
from webapp.jobs.models import Job, JobStatus, JobTag, Lane, SavedAnswer
from webapp.jobs.plans import JobLimits, JobRequest, Plan, check_engine, make_plan
from webapp.jobs.queries import get_job
from webapp.jobs.quotes import QuoteBook
from webapp.jobs.results import Outcome, store_outcome, write_outcome
from webapp.jobs.states import move_new_job
from webapp.jobs.turns import call_workers
from webapp.ledger.operations import OverdraftError
from webapp.metering.holds import AskedHold, Hold, end_hold, give_back_hold, keep_hold
from webapp.metering.reconcile import reconcile_account
from webapp.metering.spenders import spender_of
from webapp.quantum.engines import get_engine

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Submitter:
    """Who runs a job, and for which account: a key, or, where that is None, a member in the console."""

    key_id: str | None
    organisation_id: str
    shard_tag: str
    is_test: bool = False
    user_id: str | None = None

    @property
    def spender(self) -> str:
        """Whom usage and budgets count it for."""
        return spender_of(self.key_id, self.organisation_id)


@dataclass(frozen=True)
class Service:
    """What the operator's settings come to for jobs: limits, and the quotes that go with the secret key."""

    limits: JobLimits
    quotes: QuoteBook


@dataclass(frozen=True)
class NewJob:
    """A job just made, and what came of it where it ran at once; a queued one has let go of its programs."""

    job: Job
    outcome: Outcome | None = None


class JobEndedError(UpcubeError):
    """The job has ended already, and can no longer be cancelled."""

    status = 409
    code = "job_ended"

    def __init__(self, status: str) -> None:
        super().__init__(f"The job is {status}; it cannot be cancelled.", target="jobId", extra={"jobStatus": status})


def submit_job(
    *,
    submitter: Submitter,
    request: JobRequest,
    service: Service,
    wants_worker: bool = False,
    repeatable: Repeatable | None = None,
    at: datetime,
) -> NewJob | SavedAnswer:
    """Run a small circuit at once, or queue any other for a worker; give the job, or what a repeated request was told.

    Nothing is stored, charged or told before the price is held. Raises NotFoundError, InvalidFieldsError,
    GateRefusedError, ConfirmationRequiredError, TooManyHoldsError, InsufficientCreditsError, IdempotencyConflictError,
    StillAnsweringError or StoreAwayError, all with nothing charged.
    """
    if repeatable is None:
        return submit_once(submitter, request, service, wants_worker=wants_worker, repeatable=None, at=at)
    try:
        with answering(submitter.shard_tag, submitter.organisation_id, repeatable):
            saved = find_answer(submitter.organisation_id, repeatable)
            if saved is not None:
                return saved
            return submit_once(submitter, request, service, wants_worker=wants_worker, repeatable=repeatable, at=at)
    except StillAnsweringError:
        # It may have been answered since; or whoever did was killed before it could take its note away.
        saved = find_answer(submitter.organisation_id, repeatable)
        if saved is None:
            raise
        return saved


def submit_once(
    submitter: Submitter,
    request: JobRequest,
    service: Service,
    *,
    wants_worker: bool,
    repeatable: Repeatable | None,
    at: datetime,
) -> NewJob:
    """Pass the gates, hold the price, and run or queue the job."""
    plan = make_plan(request, limits=service.limits, wants_worker=wants_worker, is_test=submitter.is_test)
    check_plan(plan, service.limits)
    check_engine(plan)
    job = make_job(submitter, request, plan, at=at)
    asked = ask_for_price(
        plan,
        request,
        hold_id=job.id,
        organisation_id=submitter.organisation_id,
        shard_tag=submitter.shard_tag,
        spender=submitter.spender,
        max_holds=service.limits.max_concurrent_jobs,
        quotes=service.quotes,
        at=at,
    )
    with quoting(plan, request, submitter.organisation_id, quotes=service.quotes, at=at):
        if plan.lane is Lane.INLINE:
            return run_now(job, plan, asked, repeatable)
        return queue_job(job, asked, repeatable)


def run_now(job: Job, plan: Plan, asked: AskedHold, repeatable: Repeatable | None) -> NewJob:
    """Run the job and store it. A tiny one runs while Redis decides, and is forgotten where it is refused."""
    with releasing_on_failure(asked):
        if not plan.is_tiny:
            asked.get()
        outcome = run_inline(job, plan)
        hold = asked.get()
        fault("job_after_hold")
        store_finished(job, outcome, repeatable)
    fault("job_after_commit")
    # Sent before the client is answered, so that its next job finds this one's hold settled.
    end_hold(hold, charged_microcredits=job.charged_microcredits, is_awaited=False)
    return NewJob(job, outcome)


def queue_job(job: Job, asked: AskedHold, repeatable: Repeatable | None) -> NewJob:
    """Store the job for a worker to find."""
    with releasing_on_failure(asked):
        hold = asked.get()
        fault("job_after_hold")
        store_queued(job, hold, repeatable)
    # They may be large, and whoever waits for the job keeps it.
    del job.circuit, job.circuits
    fault("job_after_queued")
    call_workers()
    return NewJob(job)


@contextmanager
def releasing_on_failure(asked: AskedHold) -> Iterator[None]:
    """Give the hold back when the job is not stored; where nobody knows whether it was, SQL will be asked soon."""
    try:
        yield
    except OverdraftError:
        # Redis allowed what SQL does not have: it must learn better before it allows the next.
        end_hold(asked.hold, charged_microcredits=0)
        reconcile_account(shard_tag=asked.hold.shard_tag)
        raise
    except BaseException as error:
        if asked.is_held():
            give_back_hold(asked.hold, error)
        raise


def make_job(submitter: Submitter, request: JobRequest, plan: Plan, *, at: datetime) -> Job:
    """Make the row of a queued job, not stored yet."""
    if plan.engine is None or plan.engine_reason is None:
        raise RuntimeError("a backend without engines is never online")
    task = plan.task
    return new_row(
        Job,
        id=new_id("job", at=at),
        organisation_id=submitter.organisation_id,
        key_id=submitter.key_id,
        created_by_id=submitter.user_id,
        name=request.name,
        tags=list(request.tags) or None,
        notes=dict(request.metadata) or None,
        status=JobStatus.QUEUED,
        lane=plan.lane,
        attempt=0,
        losses=0,
        template_id=task.template_id,
        circuit=task.circuit,
        circuits=task.circuits,
        parameters=task.parameters,
        options=task.options,
        backend=plan.backend.id,
        engine=plan.engine,
        engine_reason=plan.engine_reason,
        engines=None if task.is_single else [route.engine for route in plan.routes],
        qubits=plan.qubits,
        shots=task.shots,
        seed=task.seed,
        price_list=plan.price.version,
        estimated_microcredits=plan.price.total,
        held_microcredits=plan.price.total,
        charged_microcredits=0,
        created_at=at,
    )


def run_inline(job: Job, plan: Plan) -> Outcome | None:
    """Run the circuits and give what came of them: None for a fault of ours, which fails the job and costs nothing."""
    move_new_job(job, JobStatus.RUNNING, started_at=clock.now())
    try:
        results = [
            get_engine(route.engine).run(run.circuit, run.request)
            for run, route in zip(plan.runs, plan.routes, strict=True)
        ]
    except UpcubeError:
        raise
    except Exception:
        log.exception("engine %s failed on job %s", job.engine, job.id)
        move_new_job(job, JobStatus.FAILED, error=Failure.ENGINE_FAILED.error, completed_at=clock.now())
        return None
    outcome = write_outcome(plan.task, results)
    move_new_job(
        job,
        JobStatus.COMPLETED,
        **outcome.columns,
        charged_microcredits=job.held_microcredits,
        completed_at=clock.now(),
    )
    return outcome


def store_finished(job: Job, outcome: Outcome | None, repeatable: Repeatable | None) -> None:
    """Store a finished job, its result, its charge, its usage and its saved answer, all or nothing."""
    ended_at = job.completed_at or clock.now()
    with bare_transaction() as connection:
        add_job_usage(connection, spender=job.spender, microcredits=job.charged_microcredits, at=ended_at)
        add_job(connection, job, repeatable)
        if outcome is not None:
            store_outcome(connection, job.id, outcome)
        add_job_charge(connection, job.id, job.organisation_id, microcredits=job.charged_microcredits, at=ended_at)


def store_queued(job: Job, hold: Hold, repeatable: Repeatable | None) -> None:
    """Store a job for a worker to find, its hold and its saved answer, all or nothing."""
    with transaction() as session:
        keep_hold(session, hold, organisation_id=job.organisation_id, key_id=job.key_id, at=job.created_at)
        add_job(session.connection(), job, repeatable)


def add_job(connection: AnyConnection, job: Job, repeatable: Repeatable | None) -> None:
    """Add the job with its tags, and the answer for whoever repeats the request. Raises AnsweredMeanwhileError."""
    insert_rows(connection, Job, [vars(job)])
    if job.tags:
        named = {"organisation_id": job.organisation_id, "job_id": job.id}
        insert_rows(connection, JobTag, [{**named, "tag": tag} for tag in job.tags])
    if repeatable is not None:
        save_answer(connection, job, repeatable, at=job.created_at)


def cancel_job(*, organisation_id: str, job_id: str, at: datetime) -> Job:
    """Cancel a job that has not ended; it costs nothing. Cancelling it again changes nothing.

    A worker that runs it sees so within a second and stops. Raises NotFoundError, JobEndedError or StoreAwayError.
    """
    job = get_job(organisation_id=organisation_id, job_id=job_id)
    if not end_stored_job(identify(job), JobStatus.CANCELLED, at=at):
        job = get_job(organisation_id=organisation_id, job_id=job_id, is_fresh=True)
        if job.status != JobStatus.CANCELLED:
            raise JobEndedError(job.status)
    return get_job(organisation_id=organisation_id, job_id=job_id, is_fresh=True)
