"""The shapes of the API's answers; the OpenAPI document is made from them."""

from typing import Annotated, Any, get_args

from pydantic import WithJsonSchema

# pydantic reads the standard library's own TypedDict only from Python 3.12 on.
from typing_extensions import TypedDict

from webapp.jobs.models import JobStatus, Lane
from webapp.quantum.backends import BackendKind, BackendStatus


def one_of(*values: str) -> WithJsonSchema:
    """Describe text that is one of these."""
    return WithJsonSchema({"type": "string", "enum": [str(value) for value in values]})


class ParameterJson(TypedDict):
    """A parameter of a template. Bounds are of the number, or of the string's length; null where there is none."""

    name: str
    type: str
    description: str
    default: int | float | str
    minimum: float | None
    maximum: float | None
    choices: list[int | float | str] | None
    allowed: str


class QubitsJson(TypedDict):
    """How many qubits a template's circuits have."""

    minimum: int
    maximum: int
    default: int


class TemplateJson(TypedDict):
    """A ready circuit."""

    id: str
    name: str
    category: str
    description: str
    explanation: str
    expect: str
    qubits: QubitsJson
    parameters: list[ParameterJson]


class TemplateListJson(TypedDict):
    """Every template, the simplest first."""

    templates: list[TemplateJson]


class BackendJson(TypedDict):
    """A place where circuits run.

    `queueDepth` says how many jobs of all accounts wait for it, at most 5 seconds old; null where that is not known.
    """

    id: str
    name: str
    description: str
    kind: Annotated[str, one_of(*get_args(BackendKind))]
    status: Annotated[str, one_of(*get_args(BackendStatus))]
    statusReason: str | None
    qubits: int
    maxShots: int
    gates: list[str]
    engines: list[str]
    price: str
    queueDepth: int | None


class BackendListJson(TypedDict):
    """Every backend, the default one first."""

    backends: list[BackendJson]


class LimitJson(TypedDict):
    """A rate limit and what remains of it."""

    name: str
    quota: int
    windowSeconds: int
    remaining: int


class BudgetJson(TypedDict):
    """A budget, in decimal credits; one that does not refuse only warns, and one in all never resets.

    Whose it is: this key's, that of a key that made it, or the account's, which has no key's id.
    """

    source: str
    keyId: str | None
    period: str
    limit: str
    used: str
    remaining: str
    refuses: bool
    resetsAt: str | None


class KeyJson(TypedDict):
    """An API key, as it sees itself."""

    id: str
    name: str
    prefix: str
    mode: str
    organisationId: str
    scopes: list[str]
    limits: list[LimitJson]
    # What bounds the key: its own budgets, then the account's.
    budget: list[BudgetJson]


class RateLimitJson(TypedDict):
    """A rate limit of a key's own."""

    calls: int
    seconds: int


class KeyBudgetJson(TypedDict):
    """A budget of a key's own, in decimal credits; one that does not refuse only warns."""

    period: str
    limit: str
    refuses: bool


class ManagedKeyJson(TypedDict):
    """An API key, as those see it who manage it."""

    id: str
    name: str
    description: str
    prefix: str
    status: str
    mode: str
    scopes: list[str]
    rateLimits: list[RateLimitJson]
    budgets: list[KeyBudgetJson]
    addresses: list[str]
    tags: list[str]
    createdAt: str
    createdByKeyId: str | None
    expiresAt: str | None
    revokedAt: str | None


class NewKeyJson(ManagedKeyJson):
    """A key with a token just made: the raw key, which is never shown again."""

    key: str


class RevokedKeyJson(ManagedKeyJson):
    """A key that was revoked, and the ids of those that were revoked with it because it had made them."""

    revokedDescendants: list[str]


class ManagedKeyListJson(TypedDict):
    """Some of the account's keys, newest first, and the cursor of the next page."""

    keys: list[ManagedKeyJson]
    nextCursor: str | None


class LeakReceiptJson(TypedDict):
    """How many reports were received; whether there is such a key is not said."""

    received: int


class CostJson(TypedDict):
    """What a job costs, in decimal credits: estimated before, held while it ran, charged in the end."""

    estimated: str
    held: str
    charged: str
    priceList: str


class JobSummaryJson(TypedDict):
    """A job without its result. Times are RFC 3339 in UTC.

    Of several circuits, `qubits` is the widest one's, `shots` are of each, and `engine` names all that run them.
    """

    id: str
    name: str | None
    tags: list[str]
    metadata: dict[str, str]
    status: Annotated[str, one_of(*JobStatus)]
    lane: Annotated[str, one_of(*Lane)]
    templateId: str | None
    parameters: dict[str, Any]
    options: dict[str, Any]
    backend: str
    engine: str
    engineVersion: str | None
    engineReason: str
    circuitCount: int
    qubits: int
    shots: int
    seed: int
    cost: CostJson
    createdAt: str
    startedAt: str | None
    completedAt: str | None
    error: dict[str, Any] | None


class CircuitJson(TypedDict):
    """A program as it was sent: OpenQASM as text, IonQ's format as an object or its text."""

    format: str
    source: str | dict[str, Any]


class ExpectationJson(TypedDict):
    """The mean of an observable; the standard error is 0 where the mean is exact."""

    observable: str
    value: float
    standardError: float


class QueueJson(TypedDict):
    """Where a queued job stands: 1 is the next to start. When it starts is estimated from the jobs before it."""

    position: int
    estimatedStartAt: str


class ResultJson(TypedDict):
    """What came of one circuit of a batch or a sweep: with its own seed and parameters, it can be run again alone."""

    parameters: dict[str, Any]
    seed: int
    engine: str
    engineVersion: str
    counts: dict[str, int]
    probabilities: dict[str, float] | None
    expectationValues: list[ExpectationJson] | None
    memory: list[str] | None
    statevector: list[list[float]] | None


class JobHeadJson(JobSummaryJson):
    """A job without its program and what came of it, either of which may be large."""

    queue: QueueJson | None
    bitOrder: str
    resultDeletedAt: str | None


class JobJson(JobHeadJson):
    """A job with its result: bitstrings, of which classical bit 0 is the rightmost character, and their counts.

    Of a batch or a sweep, `results` has what came of each circuit, in order, and a single result's members are null.
    `queue` is null unless the job is queued. A result is deleted after some time: `resultDeletedAt`.
    """

    circuit: CircuitJson | None
    circuits: list[CircuitJson] | None
    counts: dict[str, int] | None
    probabilities: dict[str, float] | None
    expectationValues: list[ExpectationJson] | None
    memory: list[str] | None
    statevector: list[list[float]] | None
    results: list[ResultJson] | None


class PriceJson(TypedDict):
    """A price in decimal credits, and its parts: what the job is held at, and never charged more than."""

    total: str
    base: str
    work: str
    shots: str
    priceList: str


class GateJson(TypedDict):
    """What a gate says of a job: its limit, the job's value, and where it refuses, what to change."""

    name: str
    passed: bool
    limit: str
    value: str
    message: str | None


class EstimateJson(TypedDict):
    """A job as it would run: where, for how much, and the verdict of every gate, in the order in which they refuse.

    `lane` is inline where the result would come with the answer. `quoteId` is there where the price wants confirming.
    Of several circuits, `qubits` and `memoryBytes` are the widest one's, `shots` each one's, the rest is of all.
    """

    backend: str
    engine: str | None
    engineReason: str | None
    lane: str
    circuitCount: int
    qubits: int
    operations: int
    memoryBytes: int
    shots: int
    price: PriceJson
    wouldBeAccepted: bool
    gates: list[GateJson]
    quoteId: str | None
    quoteExpiresAt: str | None


class JobListJson(TypedDict):
    """Some of the account's jobs, newest first, and the cursor of the next page."""

    jobs: list[JobSummaryJson]
    nextCursor: str | None


# A line of the ledger. Written as a call because `from` is a word of Python.
TransferJson = TypedDict(
    "TransferJson",
    {
        "id": str,
        "kind": str,
        "amount": str,
        "from": str,
        "to": str,
        "reference": str,
        "reason": str,
        "createdAt": str,
    },
)


class ExpiringJson(TypedDict):
    """Available credits that expire at one moment."""

    amount: str
    expiresAt: str


class CreditsJson(TypedDict):
    """Where an account's credits are: granted = available + held + unflushed + spent + expired, and how they moved.

    `expiring` says which of the available ones expire, the soonest first; these are also used first.
    """

    granted: str
    available: str
    held: str
    unflushed: str
    spent: str
    expired: str
    expiring: list[ExpiringJson]
    transfers: list[TransferJson]
    nextCursor: str | None


class UsageGroupJson(TypedDict):
    """One group's calls, or its jobs where the groups are backends, and credits.

    A key's group is its id, and an endpoint's its operationId; those have names besides. A job's
    charge is create_job's, wherever it was run.

    Usage of long ago is kept by the day: by hour, all of such a day is in its first.
    """

    group: str
    name: str | None
    calls: int
    credits: str


class UsageTotalJson(TypedDict):
    """All groups together."""

    calls: int
    credits: str


# What was used in a period. Written as a call because `from` is a word of Python.
UsageJson = TypedDict(
    "UsageJson", {"from": str, "to": str, "groupBy": str, "usage": list[UsageGroupJson], "total": UsageTotalJson}
)


class DetailJson(TypedDict):
    """One wrong field: where it is, what is wrong, and what would be right."""

    path: str
    message: str
    allowed: str | None


class ErrorJson(TypedDict):
    """What is wrong. Some errors have further members, such as required, available and limitSource on a 402."""

    code: str
    message: str
    target: str | None
    requestId: str | None
    details: list[DetailJson]


class ErrorEnvelopeJson(TypedDict):
    """Every answer that is not a success."""

    error: ErrorJson
