"""What makes and ends jobs."""

import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webapp.core import clock
from webapp.core.db import CommitLostError, transaction
from webapp.core.errors import StoreAwayError, UpcubeError
from webapp.core.faults import fault
from webapp.core.ids import new_id
from webapp.jobs.gates import JobLimits, Plan, check_gates
from webapp.jobs.models import Job, JobStatus
from webapp.ledger.operations import OverdraftError, add_charge
from webapp.metering.holds import Hold, hold_credits, hurry_hold, settle_hold
from webapp.metering.reconcile import hold_reference, reconcile_account
from webapp.metering.usage import UsageChange, add_usage, start_of_hour
from webapp.quantum.backends import get_backend
from webapp.quantum.circuits import Circuit, measure
from webapp.quantum.engines import RunRequest, RunResult, get_engine
from webapp.quantum.limits import MAX_SEED
from webapp.quantum.pricing import price_microcredits
from webapp.quantum.router import choose_engine
from webapp.quantum.templates import get_template

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class JobRequest:
    """A circuit to run, as a program asked for it."""

    template_id: str
    parameters: Mapping[str, Any]
    backend_id: str
    shots: int
    seed: int | None = None
    name: str | None = None
    max_microcredits: int | None = None


@dataclass(frozen=True)
class Submitter:
    """The key that a job is run and paid with."""

    key_id: str
    organisation_id: str
    shard_tag: str


def submit_job(*, submitter: Submitter, request: JobRequest, limits: JobLimits, at: datetime) -> Job:
    """Run a circuit at once and give its finished job.

    The price is held before anything runs, and charged in the transaction that stores the result. Raises NotFoundError,
    InvalidFieldsError, GateRefusedError, TooManyHoldsError, InsufficientCreditsError or StoreAwayError, all with
    nothing charged.
    """
    circuit = get_template(request.template_id).create_circuit(request.parameters)
    plan = make_plan(request, circuit, max_inline_work=limits.max_inline_work)
    check_gates(plan)
    job = make_job(submitter, request, plan, at=at)
    hold = hold_credits(
        shard_tag=submitter.shard_tag,
        hold_id=job.id,
        microcredits=job.held_microcredits,
        max_holds=limits.max_concurrent_jobs,
        key_id=submitter.key_id,
    )
    fault("job_after_hold")
    try:
        run_circuit(job, circuit)
        store_finished(job)
    except OverdraftError:
        # Redis allowed what SQL does not have: it must learn better before it allows the next.
        end_hold(hold, charged_microcredits=0)
        reconcile_account(shard_tag=hold.shard_tag)
        raise
    except CommitLostError:
        # The commit may have happened and only its answer been lost: whoever ends the overdue hold will ask SQL.
        hurry_hold(hold)
        raise
    except BaseException:
        end_hold(hold, charged_microcredits=0)
        raise
    fault("job_after_commit")
    end_hold(hold, charged_microcredits=job.charged_microcredits)
    return job


def make_plan(request: JobRequest, circuit: Circuit, *, max_inline_work: int) -> Plan:
    """Work out where the circuit would run and what it would cost. Raises NotFoundError for an unknown backend."""
    profile = measure(circuit)
    return Plan(
        backend=get_backend(request.backend_id),
        profile=profile,
        shots=request.shots,
        price=price_microcredits(profile, request.shots),
        max_microcredits=request.max_microcredits,
        max_inline_work=max_inline_work,
    )


def make_job(submitter: Submitter, request: JobRequest, plan: Plan, *, at: datetime) -> Job:
    """Make the job's row, not stored yet."""
    route = choose_engine(plan.profile, engines=plan.backend.engines)
    return Job(
        id=new_id("job", at=at),
        organisation_id=submitter.organisation_id,
        key_id=submitter.key_id,
        name=request.name,
        status=JobStatus.RUNNING,
        template_id=request.template_id,
        parameters=dict(request.parameters),
        backend=plan.backend.id,
        engine=route.engine,
        engine_reason=route.reason,
        qubits=plan.profile.qubits,
        shots=request.shots,
        seed=secrets.randbelow(MAX_SEED + 1) if request.seed is None else request.seed,
        price_list=plan.price.version,
        estimated_microcredits=plan.price.total,
        held_microcredits=plan.price.total,
        charged_microcredits=0,
        created_at=at,
        started_at=clock.now(),
    )


def run_circuit(job: Job, circuit: Circuit) -> None:
    """Run the circuit and write down what came of it. A fault of ours fails the job, which then costs nothing."""
    try:
        result = get_engine(job.engine).run(circuit, RunRequest(job.shots, job.seed))
    except UpcubeError:
        raise
    except Exception:
        log.exception("engine %s failed on job %s", job.engine, job.id)
        job.status = JobStatus.FAILED
        job.error = {"code": "engine_failed", "message": "The engine failed on this circuit. Nothing was charged."}
    else:
        complete(job, result)
    job.completed_at = clock.now()


def complete(job: Job, result: RunResult) -> None:
    """Write the result and the charge into the job."""
    job.status = JobStatus.COMPLETED
    job.engine_version = result.engine_version
    job.counts = result.counts
    job.probabilities = result.probabilities
    job.charged_microcredits = job.held_microcredits


def store_finished(job: Job) -> None:
    """Store a finished job, its charge and its key's usage, all or nothing."""
    ended_at = job.completed_at or clock.now()
    with transaction() as session:
        if job.charged_microcredits:
            # Usage before the balance, as the flush does: two orders would deadlock.
            hour = start_of_hour(ended_at)
            add_usage(session, [UsageChange(job.key_id, hour, microcredits=job.charged_microcredits)])
        session.add(job)
        add_charge(
            session,
            organisation_id=job.organisation_id,
            microcredits=job.charged_microcredits,
            reference=hold_reference(job.id),
            reason=f"Job {job.id}",
            at=ended_at,
        )


def end_hold(hold: Hold, *, charged_microcredits: int) -> None:
    """Settle the hold now if Redis answers; otherwise it ends when it is found to be overdue."""
    try:
        settle_hold(hold, charged_microcredits=charged_microcredits)
    except StoreAwayError:
        log.warning("hold %s is left to end when it is overdue", hold.id)
