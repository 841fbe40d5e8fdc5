"""The shapes of what the API answers about jobs."""

from typing import Annotated, Any

# pydantic reads the standard library's own TypedDict only from Python 3.12 on.
from typing_extensions import TypedDict

from webapp.api.responses import one_of
from webapp.jobs.models import JobStatus, Lane


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
