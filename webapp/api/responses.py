"""The shapes of the API's answers; the OpenAPI document is made from them."""

from typing import Any

# pydantic reads the standard library's own TypedDict only from Python 3.12 on.
from typing_extensions import TypedDict


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
    """A place where circuits run."""

    id: str
    name: str
    description: str
    kind: str
    status: str
    statusReason: str | None
    qubits: int
    maxShots: int
    gates: list[str]
    engines: list[str]
    price: str
    queueDepth: int


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
    """A budget, in decimal credits; one that does not refuse only warns, and one in all never resets."""

    source: str
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
    organisationId: str
    scopes: list[str]
    limits: list[LimitJson]
    # What bounds the key: its own budgets, then the account's.
    budget: list[BudgetJson]


class CostJson(TypedDict):
    """What a job costs, in decimal credits: estimated before, held while it ran, charged in the end."""

    estimated: str
    held: str
    charged: str
    priceList: str


class JobSummaryJson(TypedDict):
    """A job without its result. Times are RFC 3339 in UTC."""

    id: str
    name: str | None
    status: str
    templateId: str | None
    parameters: dict[str, Any]
    backend: str
    engine: str
    engineVersion: str | None
    engineReason: str
    qubits: int
    shots: int
    seed: int
    cost: CostJson
    createdAt: str
    startedAt: str | None
    completedAt: str | None
    error: dict[str, Any] | None


class JobJson(JobSummaryJson):
    """A job with its result: bitstrings, of which classical bit 0 is the rightmost character, and their counts."""

    counts: dict[str, int] | None
    probabilities: dict[str, float] | None
    bitOrder: str
    expectationValues: None


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
