"""What a job would cost, where it would run, and what every gate says of it, with nothing run and nothing held."""

from dataclasses import dataclass
from datetime import datetime

from webapp.accounts.queries import get_organisation
from webapp.jobs.confirmation import is_confirmed, look_at_account, make_quote
from webapp.jobs.gates import GateVerdict, judge
from webapp.jobs.operations import Service, Submitter
from webapp.jobs.plans import JobRequest, Plan, check_engine, make_plan
from webapp.jobs.quotes import Quote


@dataclass(frozen=True)
class Estimate:
    """A job as it would run, the verdict of every gate, and the quote to confirm where that is wanted."""

    plan: Plan
    verdicts: tuple[GateVerdict, ...]
    quote: Quote | None

    @property
    def would_be_accepted(self) -> bool:
        """Tell whether the job would be accepted if it were sent now."""
        return all(verdict.passed for verdict in self.verdicts)


def estimate_job(
    *, submitter: Submitter, request: JobRequest, service: Service, wants_worker: bool, at: datetime
) -> Estimate:
    """Put a job before every gate. Raises NotFoundError, InvalidFieldsError or StoreAwayError."""
    plan = make_plan(request, limits=service.limits, wants_worker=wants_worker, is_test=submitter.is_test)
    organisation = get_organisation(submitter.organisation_id)
    verdicts = tuple(
        judge(
            plan,
            look_at_account(organisation, submitter.spender),
            service.limits,
            is_confirmed=is_confirmed(plan, request, organisation.id, quotes=service.quotes, at=at),
        )
    )
    if all(verdict.passed for verdict in verdicts if verdict.name in {"backend", "size"}):
        check_engine(plan)
    wants_confirmation = any(verdict.name == "confirmation" and not verdict.passed for verdict in verdicts)
    quote = make_quote(plan, request, organisation.id, quotes=service.quotes, at=at) if wants_confirmation else None
    return Estimate(plan=plan, verdicts=verdicts, quote=quote)
