"""The shapes of the API's answers; the OpenAPI document is made from them and those about jobs and keys."""

from typing import Annotated, get_args

from pydantic import WithJsonSchema

# pydantic reads the standard library's own TypedDict only from Python 3.12 on.
from typing_extensions import TypedDict

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
