"""The playground: a person runs a circuit from the browser, without a key, having seen its price."""

import hashlib
import re
import secrets
from dataclasses import dataclass, replace
from typing import Any

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from webapp.accounts.email_addresses import check_verified
from webapp.accounts.roles import Permission
from webapp.authentication import permission_required
from webapp.core import clock
from webapp.core.errors import UpcubeError
from webapp.core.large_work import large_work_in_turn
from webapp.dashboard import dashboard
from webapp.dashboard.charts import make_chart
from webapp.dashboard.diagrams import Diagram, draw
from webapp.dashboard.jobs import make_rerun_body
from webapp.dashboard.playground_drafts import EXAMPLES, KINDS, MAX_NAME_LENGTH, TEMPLATE, Draft, make_request
from webapp.dashboard.playground_options import NOISE_LABELS, group_by_field
from webapp.dashboard.visitor import get_own_organisation, get_visitor
from webapp.extensions import runtime
from webapp.jobs.estimate import Estimate, estimate_job
from webapp.jobs.idempotency import Repeatable
from webapp.jobs.models import Job, SavedAnswer
from webapp.jobs.operations import Submitter, submit_job
from webapp.jobs.queries import get_job
from webapp.jobs.results import is_small, load_result
from webapp.jobs.states import OPEN
from webapp.quantum.backends import list_backends
from webapp.quantum.limits import MAX_SEED, MAX_SHOTS
from webapp.quantum.parsing.errors import InvalidProgramError
from webapp.quantum.templates import list_templates

# What makes a form run once, however often it is sent.
TICKET = re.compile(r"[\w-]{22}", re.ASCII)

GATES = {
    "scope": "Permission",
    "backend": "Backend",
    "size": "Size",
    "max_credits": "Price limit",
    "key_budget": "Key budget",
    "account_budget": "Account budget",
    "balance": "Balance",
    "concurrency": "Jobs at one time",
    "confirmation": "Confirmation",
}


class UnseenPriceError(UpcubeError):
    """The job would cost more than the page said that was sent."""

    status = 409
    code = "price_unseen"

    def __init__(self) -> None:
        super().__init__("The price has changed with what you typed. Here is the new one; nothing has run yet.")


@dataclass(frozen=True)
class Outlook:
    """What is known of a draft before it runs: its estimate and its drawing; or what is wrong with it."""

    body: dict[str, Any] | None = None
    estimate: Estimate | None = None
    drawn: Diagram | None = None
    error: UpcubeError | None = None

    @property
    def is_runnable(self) -> bool:
        """Tell whether it would run. Whoever presses the button has seen the price, and so confirms it."""
        return self.estimate is not None and all(
            verdict.passed or verdict.name == "confirmation" for verdict in self.estimate.verdicts
        )


@dashboard.get("/console/playground")
@permission_required(Permission.JOBS_MANAGE)
def playground() -> ResponseReturnValue:
    """Show the form; with a job, that job's result below it."""
    found = None
    if "job" in request.args:
        found = get_job(organisation_id=get_own_organisation().id, job_id=request.args["job"])
        if found.status in OPEN:
            return redirect(url_for("dashboard.job", job_id=found.id))
        draft = Draft.of_job(found, seed=request.args.get("seed", ""))
    else:
        draft = Draft.start(request.args.get("kind", ""), request.args.get("template", ""))
    with large_work_in_turn(get_own_organisation().id):
        return render_playground(draft, look_at(draft), job=found)


@dashboard.post("/console/playground")
@permission_required(Permission.JOBS_MANAGE)
def use_playground() -> ResponseReturnValue:
    """Estimate what was typed, or run it."""
    draft = Draft.read(request.form)
    with large_work_in_turn(get_own_organisation().id):
        outlook = look_at(draft)
        if outlook.error is None and request.form.get("action") == "run":
            try:
                return show_job(run(outlook), draft)
            except UpcubeError as error:
                outlook = replace(outlook, error=error)
        page = render_playground(draft, outlook)
        return (page, outlook.error.status, dict(outlook.error.headers)) if outlook.error else page


def look_at(draft: Draft) -> Outlook:
    """Put a draft before every gate, as it would be now."""
    body = None
    try:
        body = draft.make_body()
        found = estimate_job(
            submitter=get_submitter(),
            request=make_request(body),
            service=runtime().jobs,
            wants_worker=False,
            at=clock.now(),
        )
    except UpcubeError as error:
        return Outlook(body=body, error=error)
    return Outlook(body=body, estimate=found, drawn=draw(found.plan.runs[0].circuit))


def run(outlook: Outlook) -> str:
    """Run what has been looked at, once for each ticket, and give the job's id.

    Raises UnseenPriceError where the page that was sent did not show this price, and what submit_job() raises.
    """
    body, estimate, ticket = outlook.body, outlook.estimate, request.form.get("ticket", "")
    shown = request.form.get("price", "")
    if body is None or estimate is None or not TICKET.fullmatch(ticket) or shown != str(estimate.plan.price.total):
        raise UnseenPriceError
    check_verified(get_visitor().user, is_required=runtime().require_verified_email)
    submitter = get_submitter()
    job_request = replace(make_request(body), quote_id=estimate.quote.id if estimate.quote else None)
    # Not the digest of the API: a program that sends the ticket as its Idempotency-Key is told of a conflict.
    digest = hashlib.sha256(f"{job_request.digest}:{submitter.user_id}".encode()).hexdigest()
    answer = submit_job(
        submitter=submitter,
        request=job_request,
        service=runtime().jobs,
        repeatable=Repeatable(f"console:{ticket}", digest, lambda _: ({}, 201)),
        at=clock.now(),
    )
    return answer.job_id if isinstance(answer, SavedAnswer) else answer.job.id


def get_submitter() -> Submitter:
    """Give the member who runs jobs here, for the organisation that they look at."""
    organisation = get_own_organisation()
    return Submitter(None, organisation.id, organisation.shard_tag, user_id=get_visitor().user.id)


def show_job(job_id: str, draft: Draft) -> ResponseReturnValue:
    """Go on to the result, or to the page of a job that is yet to have one."""
    return redirect(url_for("dashboard.playground", job=job_id, seed=draft.seed or None, _anchor="result"))


def render_playground(draft: Draft, outlook: Outlook, *, job: Job | None = None) -> str:
    """Render the page."""
    errors = name_errors(draft, outlook.error)
    result = load_result(job) if job else {}
    return render_template(
        "playground.html",
        draft=draft,
        outlook=outlook,
        errors=errors,
        is_example=draft.source == EXAMPLES.get(draft.kind),
        noises=NOISE_LABELS,
        job=job,
        is_drawn=job is not None and is_small(job),
        chart=make_chart(result, shots=job.shots) if job else None,
        means=result.get("expectationValues") or [],
        rerun_body=make_rerun_body(job) if job else None,
        ticket=secrets.token_urlsafe(16),
        kinds=KINDS,
        templates=list_templates(),
        backends=list_backends(),
        gates=GATES,
        limits={"shots": MAX_SHOTS, "seed": MAX_SEED, "name": MAX_NAME_LENGTH},
    )


def name_errors(draft: Draft, error: UpcubeError | None) -> dict[str, str]:
    """Give each field of the page that is wrong its message."""
    if isinstance(error, InvalidProgramError) and draft.kind != TEMPLATE:
        return {"source": error.message}
    details = error.details if error else ()
    return group_by_field(details, observables=draft.observables, has_parameters=draft.kind == TEMPLATE)
