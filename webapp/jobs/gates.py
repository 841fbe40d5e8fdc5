"""The cost-safety gates: what a job must pass before a credit is held for it."""

from collections.abc import Iterator
from dataclasses import dataclass

from webapp.core.errors import UpcubeError
from webapp.core.money import MICROCREDITS_PER_CREDIT, format_credits
from webapp.core.text import count_of, format_bytes
from webapp.jobs.plans import JobLimits, Plan
from webapp.metering.budgets import BudgetState
from webapp.metering.letters import describe_period
from webapp.quantum.backends import Backend
from webapp.quantum.engines import CircuitTooLargeError

SCOPE = "jobs:write"
NO_LIMIT = "none"

# The largest job of a test key.
TEST_QUBITS = 5
TEST_GATES = 100
TEST_SHOTS = 1000
TEST_SECONDS = 1


@dataclass(frozen=True)
class GateVerdict:
    """What one gate says of a job: its limit, the job's value, and in words what to change where it refuses."""

    name: str
    passed: bool
    limit: str
    value: str
    message: str


@dataclass(frozen=True)
class AccountState:
    """What the gates look at in an account: its credits, its open jobs, and above which price it wants to be asked."""

    available_microcredits: int
    open_jobs: int
    budgets: tuple[BudgetState, ...]
    confirm_above_microcredits: int | None


class GateRefusedError(UpcubeError):
    """A gate refused the job; the error says which one, its limit, and what to change."""

    status = 403
    code = "gate_refused"

    def __init__(self, verdict: GateVerdict) -> None:
        super().__init__(
            verdict.message,
            target=verdict.name,
            extra={"gate": verdict.name, "limit": verdict.limit, "value": verdict.value},
        )


def check_plan(plan: Plan, limits: JobLimits) -> None:
    """Refuse at the first gate that does, of those that look at the job alone. Raises GateRefusedError."""
    for verdict in judge_plan(plan, limits):
        if not verdict.passed:
            raise GateRefusedError(verdict)


def judge(plan: Plan, account: AccountState, limits: JobLimits, *, is_confirmed: bool) -> Iterator[GateVerdict]:
    """Give every gate's verdict, in the order in which they refuse."""
    # Who asks has the scope: admission would have refused the call.
    yield passed("scope", limit=SCOPE, value=SCOPE)
    yield from judge_plan(plan, limits)
    yield judge_budget(plan, account, "key")
    yield judge_budget(plan, account, "account")
    yield judge_balance(plan, account)
    yield judge_concurrency(account, limits)
    yield judge_confirmation(plan, account.confirm_above_microcredits, is_confirmed=is_confirmed)


def judge_plan(plan: Plan, limits: JobLimits) -> Iterator[GateVerdict]:
    """Give the verdicts of the gates that look at the job alone."""
    yield judge_backend(plan.backend)
    yield judge_size(plan, limits)
    if plan.is_test:
        yield judge_test(plan)
    yield judge_max_credits(plan)


def passed(name: str, *, limit: str, value: str) -> GateVerdict:
    """Give the verdict of a gate that has nothing against the job."""
    return GateVerdict(name=name, passed=True, limit=limit, value=value, message="")


def refused_unless(is_passed: bool, name: str, *, limit: str, value: str, message: str) -> GateVerdict:  # noqa: FBT001 - it reads as a sentence
    """Give the verdict of a gate; the message is for a refusal."""
    return GateVerdict(name=name, passed=is_passed, limit=limit, value=value, message="" if is_passed else message)


def judge_backend(backend: Backend) -> GateVerdict:
    """Let through only backends that are online."""
    return refused_unless(
        backend.status == "online",
        "backend",
        limit="online",
        value=backend.status,
        message=f"The backend {backend.id} is {backend.status}. {backend.status_reason or ''}".strip(),
    )


def judge_size(plan: Plan, limits: JobLimits) -> GateVerdict:
    """Let through circuits that fit the backend, and that it can run in the time that a job may take."""
    if isinstance(plan.misfit, CircuitTooLargeError):
        return refused_unless(
            False,  # noqa: FBT003 - it reads as a sentence
            "size",
            limit=format_bytes(plan.misfit.limit_bytes),
            value=format_bytes(plan.misfit.required_bytes),
            message=plan.misfit.message,
        )
    qubits, most_qubits = plan.qubits, plan.backend.qubits
    if qubits > most_qubits:
        return refused_unless(
            False,  # noqa: FBT003 - it reads as a sentence
            "size",
            limit=f"{most_qubits} qubits",
            value=f"{qubits} qubits",
            message=f"The circuit has {qubits} qubits, and {plan.backend.id} takes up to {most_qubits}.",
        )
    # One credit is one core-second.
    seconds = -(-plan.price.work // MICROCREDITS_PER_CREDIT)
    return refused_unless(
        seconds <= limits.timeout_seconds,
        "size",
        limit=count_of(limits.timeout_seconds, "core-second"),
        value=count_of(seconds, "core-second"),
        message=f"The {'circuit takes' if plan.task.is_single else 'circuits take'} about "
        f"{count_of(seconds, 'core-second')} "
        f"and a job may take {limits.timeout_seconds}. Use fewer qubits or fewer gates"
        f"{'' if plan.task.is_single else ', or send fewer circuits at once'}.",
    )


def judge_test(plan: Plan) -> GateVerdict:
    """Let through a test key's jobs while they are tiny."""
    seconds = sum(route.cost.seconds for route in plan.routes)
    is_tiny = plan.qubits <= TEST_QUBITS and plan.gates <= TEST_GATES and plan.shots <= TEST_SHOTS
    limit = f"{TEST_QUBITS} qubits, {TEST_GATES} gates and {TEST_SHOTS} shots, for one core-second"
    return GateVerdict(
        name="size",
        passed=is_tiny and seconds <= TEST_SECONDS,
        limit=limit,
        value=f"{plan.qubits} qubits, {plan.gates} gates and {plan.shots} shots, for {seconds:.1f} core-seconds",
        message=f"A test key runs up to {limit}, free of charge. Use a live key for more.",
    )


def judge_max_credits(plan: Plan) -> GateVerdict:
    """Let through jobs that cost no more than their sender allowed."""
    limit = plan.max_microcredits
    price = format_credits(plan.price.total)
    return refused_unless(
        limit is None or plan.price.total <= limit,
        "max_credits",
        limit=NO_LIMIT if limit is None else format_credits(limit),
        value=price,
        message=f"The job may cost {price} credits, more than its maxCredits. Raise maxCredits or ask for fewer shots.",
    )


def judge_budget(plan: Plan, account: AccountState, level: str) -> GateVerdict:
    """Let through jobs that the key's or the account's budgets allow. The hold decides: this tells beforehand."""
    required = plan.price.total
    budgets = [budget for budget in account.budgets if budget.level == level and budget.refuses]
    if not budgets:
        return passed(f"{level}_budget", limit=NO_LIMIT, value=format_credits(required))
    tightest = min(budgets, key=lambda budget: budget.remaining_microcredits)
    left = format_credits(tightest.remaining_microcredits)
    return refused_unless(
        tightest.allows(required),
        f"{level}_budget",
        limit=left,
        value=format_credits(required),
        message=f"This needs {format_credits(required)} credits, and the {level}'s "
        f"{describe_period(tightest.period)} budget has {left} left. Raise the budget or ask for fewer shots.",
    )


def judge_balance(plan: Plan, account: AccountState) -> GateVerdict:
    """Let through jobs that the account can pay. The hold is what decides: this tells beforehand."""
    available, price = format_credits(account.available_microcredits), format_credits(plan.price.total)
    return refused_unless(
        plan.price.total <= account.available_microcredits,
        "balance",
        limit=available,
        value=price,
        message=f"This needs {price} credits and {available} are available. "
        "Ask for fewer shots or a smaller circuit, or add credits.",
    )


def judge_concurrency(account: AccountState, limits: JobLimits) -> GateVerdict:
    """Let through as many jobs at one time as an account may have. The hold is what decides: this tells beforehand."""
    most = limits.max_concurrent_jobs
    return refused_unless(
        account.open_jobs < most,
        "concurrency",
        limit=str(most),
        value=str(account.open_jobs + 1),
        message=f"The account has {most} jobs queued and running already, which is its limit. "
        "Send this one when another has ended.",
    )


def judge_confirmation(plan: Plan, limit: int | None, *, is_confirmed: bool) -> GateVerdict:
    """Let through jobs cheap enough for the account, and those whose price was confirmed. The hold decides here too."""
    price = format_credits(plan.price.total)
    return refused_unless(
        is_confirmed or limit is None or plan.price.total <= limit,
        "confirmation",
        limit=NO_LIMIT if limit is None else format_credits(limit),
        value=price,
        message=f"The job may cost {price} credits, and this account wants to confirm what may cost more than "
        f"{format_credits(limit or 0)}. Send the same request with the quoteId in the field confirm.",
    )
