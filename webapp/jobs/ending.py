"""How a job ends: its state, its charge and its hold, once, whoever comes first."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from types import MappingProxyType
from typing import Any

from webapp.accounts.queries import get_organisation
from webapp.core.db import AnyConnection, transaction
from webapp.core.faults import fault
from webapp.jobs.models import Job, JobStatus
from webapp.jobs.result_sizes import MAX_RESULT_BYTES
from webapp.jobs.results import Outcome, store_outcome
from webapp.jobs.states import move_job
from webapp.ledger.operations import add_charge
from webapp.metering.callers import RUN_JOB
from webapp.metering.holds import Hold, end_hold, let_hold_go
from webapp.metering.reconcile import hold_reference
from webapp.metering.usage import UsageChange, add_usage, start_of_hour


class Failure(Enum):
    """Why a job failed through no fault of its sender's, who is told so and pays nothing."""

    ENGINE_FAILED = ("engine_failed", "The engine failed on this circuit.")
    ENGINE_CRASHED = ("engine_crashed", "The engine's process crashed on this circuit.")
    OUT_OF_MEMORY = (
        "out_of_memory",
        "The circuit needed more memory than a job may take. Use fewer qubits, or another engine.",
    )
    TIMEOUT = ("timeout", "The job took longer than a job may. Use fewer qubits, fewer gates or fewer shots.")
    RESULT_TOO_LARGE = (
        "result_too_large",
        f"The result exceeds {MAX_RESULT_BYTES // 2**20} MiB and is not kept. Ask for fewer shots or no memory.",
    )
    WORKER_LOST = ("worker_lost", "The workers that ran this job died, each time that it was tried.")
    INSUFFICIENT_CREDITS = ("insufficient_credits", "The account's balance no longer covered the job when it ended.")

    @property
    def error(self) -> dict[str, str]:
        """Give what the job's `error` says."""
        code, message = self.value
        return {"code": code, "message": f"{message} Nothing was charged."}


@dataclass(frozen=True)
class StoredJob:
    """What it takes to end a stored job."""

    id: str
    organisation_id: str
    shard_tag: str
    spender: str
    held_microcredits: int


def identify(job: Job) -> StoredJob:
    """Give what it takes to end the job."""
    shard_tag = get_organisation(job.organisation_id).shard_tag
    return StoredJob(job.id, job.organisation_id, shard_tag, job.spender, job.held_microcredits)


def end_stored_job(
    job: StoredJob,
    target: JobStatus,
    *,
    attempt: int | None = None,
    silent_since: datetime | None = None,
    charged_microcredits: int = 0,
    outcome: Outcome | None = None,
    values: Mapping[str, Any] = MappingProxyType({}),
    at: datetime,
) -> bool:
    """End a job with its result and charge, and then its hold; False, and nothing is done, where it has moved on.

    With an `attempt` or `silent_since`, only where move_job() would. Raises OverdraftError or StoreAwayError; after the
    latter, asking again is safe: a job that did end is not ended twice, and its hold ends when it is found overdue.
    """
    with transaction() as session:
        has_moved = move_job(
            session,
            job.id,
            target,
            attempt=attempt,
            silent_since=silent_since,
            values={
                "charged_microcredits": charged_microcredits,
                "completed_at": at,
                **(outcome.columns if outcome else {}),
                **values,
            },
        )
        if has_moved:
            # Usage before the balance, as the flush does: two orders would deadlock.
            connection = session.connection()
            add_job_usage(connection, spender=job.spender, microcredits=charged_microcredits, at=at)
            if outcome is not None:
                store_outcome(connection, job.id, outcome)
            let_hold_go(session, job.id, organisation_id=job.organisation_id)
            add_job_charge(connection, job.id, job.organisation_id, microcredits=charged_microcredits, at=at)
            fault("job_before_end")
    if has_moved:
        fault("job_after_end")
        hold = Hold(job.id, job.shard_tag, job.held_microcredits)
        end_hold(hold, charged_microcredits=charged_microcredits)
    return has_moved


def add_job_usage(connection: AnyConnection, *, spender: str, microcredits: int, at: datetime) -> None:
    """Add what a job is charged to the usage of who ran it."""
    if microcredits:
        add_usage(connection, [UsageChange(spender, start_of_hour(at), RUN_JOB, microcredits=microcredits)])


def add_job_charge(
    connection: AnyConnection, job_id: str, organisation_id: str, *, microcredits: int, at: datetime
) -> None:
    """Charge for a job. Raises OverdraftError, or VoidReferenceError where its hold was given up."""
    add_charge(
        connection,
        organisation_id=organisation_id,
        microcredits=microcredits,
        reference=hold_reference(job_id),
        reason=f"Job {job_id}",
        at=at,
    )
