"""What gives a job's price back."""

from datetime import datetime

from webapp.accounts.audit import Action, Actor, Target, record_event
from webapp.core.db import transaction
from webapp.core.faults import fault
from webapp.core.money import format_credits
from webapp.jobs.queries import get_job
from webapp.ledger.operations import add_refund
from webapp.metering.credits import tell_redis
from webapp.metering.reconcile import hold_reference


def refund_job(
    *,
    organisation_id: str,
    job_id: str,
    microcredits: int | None,
    reason: str,
    reference: str | None,
    actor: Actor,
    at: datetime,
) -> int:
    """Give back some of what a job was charged, or all that is left of it, and give how much that was.

    The job's row and its key's usage stay what they are: they say what was charged. Raises NotFoundError,
    InvalidFieldsError, NothingToRefundError or ReferenceUsedError.
    """
    job = get_job(organisation_id=organisation_id, job_id=job_id)
    with transaction() as session:
        refunded = add_refund(
            session,
            organisation_id=organisation_id,
            charge_reference=hold_reference(job.id),
            subject=f"Job {job.id}",
            microcredits=microcredits,
            reason=reason,
            reference=reference,
            at=at,
        )
        record_event(
            session,
            action=Action.JOB_REFUNDED,
            actor=actor,
            target=Target("job", job.id, job.name or ""),
            organisation_id=organisation_id,
            details={"credits": format_credits(refunded), "reason": reason, "reference": reference},
            at=at,
        )
        fault("refund_before_commit")
    fault("refund_after_commit")
    tell_redis(organisation_id)
    return refunded
