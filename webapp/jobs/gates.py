"""The cost-safety gates: what a job must pass before a credit is held for it."""

from collections.abc import Iterator
from dataclasses import dataclass

from webapp.core.errors import UpcubeError
from webapp.core.money import format_credits
from webapp.quantum.backends import Backend
from webapp.quantum.circuits import Profile
from webapp.quantum.pricing import Price

# The largest job of a test key.
TEST_QUBITS = 5
TEST_GATES = 100
TEST_SHOTS = 1000


@dataclass(frozen=True)
class GateVerdict:
    """What one gate says of a job: its limit, the job's value, and in words what to change where it refuses."""

    name: str
    passed: bool
    limit: str
    value: str
    message: str


@dataclass(frozen=True)
class JobLimits:
    """What the operator allows: a circuit's work in amplitude updates, and an account's jobs at one time."""

    max_inline_work: int
    max_concurrent_jobs: int


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


@dataclass(frozen=True)
class Plan:
    """A job as it would run: where, how large, and for how much."""

    backend: Backend
    profile: Profile
    shots: int
    price: Price
    max_microcredits: int | None
    max_inline_work: int
    # A test key's job: free, and tiny.
    is_test: bool = False


def check_gates(plan: Plan) -> None:
    """Refuse at the first gate that does. Raises GateRefusedError."""
    for verdict in judge(plan):
        if not verdict.passed:
            raise GateRefusedError(verdict)


def judge(plan: Plan) -> Iterator[GateVerdict]:
    """Give every gate's verdict, in the order in which they refuse. The balance is the hold's to judge."""
    yield judge_backend(plan.backend)
    yield judge_qubits(plan)
    yield judge_work(plan)
    if plan.is_test:
        yield judge_test(plan)
    yield judge_max_credits(plan)


def judge_backend(backend: Backend) -> GateVerdict:
    """Let through only backends that are online."""
    return GateVerdict(
        name="backend",
        passed=backend.status == "online",
        limit="online",
        value=backend.status,
        message=f"The backend {backend.id} is {backend.status}. {backend.status_reason or ''}".strip(),
    )


def judge_qubits(plan: Plan) -> GateVerdict:
    """Let through circuits that fit the backend, and say what memory they would take."""
    qubits, limit = plan.profile.qubits, plan.backend.qubits
    return GateVerdict(
        name="size",
        passed=qubits <= limit,
        limit=f"{limit} qubits",
        value=f"{qubits} qubits",
        message=f"{qubits} qubits need {plan.profile.memory_bytes} bytes of memory. "
        f"{plan.backend.id} takes up to {limit} qubits.",
    )


def judge_work(plan: Plan) -> GateVerdict:
    """Let through circuits that are small enough to run while the request waits."""
    work = plan.profile.gates << plan.profile.qubits
    return GateVerdict(
        name="size",
        passed=work <= plan.max_inline_work,
        limit=f"{plan.max_inline_work} amplitude updates",
        value=f"{work} amplitude updates",
        message=f"The circuit takes {work} amplitude updates (gates x 2^qubits) and this service runs up to "
        f"{plan.max_inline_work} at once. Use fewer qubits or fewer gates.",
    )


def judge_test(plan: Plan) -> GateVerdict:
    """Let through a test key's jobs while they are tiny."""
    profile = plan.profile
    is_tiny = profile.qubits <= TEST_QUBITS and profile.gates <= TEST_GATES and plan.shots <= TEST_SHOTS
    limit = f"{TEST_QUBITS} qubits, {TEST_GATES} gates and {TEST_SHOTS} shots"
    return GateVerdict(
        name="size",
        passed=is_tiny,
        limit=limit,
        value=f"{profile.qubits} qubits, {profile.gates} gates and {plan.shots} shots",
        message=f"A test key runs up to {limit}, free of charge. Use a live key for more.",
    )


def judge_max_credits(plan: Plan) -> GateVerdict:
    """Let through jobs that cost no more than their sender allowed."""
    limit = plan.max_microcredits
    price = format_credits(plan.price.total)
    return GateVerdict(
        name="max_credits",
        passed=limit is None or plan.price.total <= limit,
        limit="none" if limit is None else format_credits(limit),
        value=price,
        message=f"The job may cost {price} credits, more than its maxCredits. Raise maxCredits or ask for fewer shots.",
    )
