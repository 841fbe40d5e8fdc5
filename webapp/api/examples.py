"""Examples in the OpenAPI document. A test holds each against the shape that it stands beside."""

from typing import Any, Final

from webapp.api.job_responses import JobSummaryJson
from webapp.api.success_examples import EXAMPLES
from webapp.quantum.pricing import PRICE_LIST_VERSION

REQUEST_ID: Final = "req_01m83dspj310954shnn9f8fyer"
JOB_ID: Final = "job_01m83dspj310954shnn9f8fyer"


def error(code: str, message: str, target: str | None = None, **more: object) -> dict[str, Any]:
    """Write an error as it is answered."""
    details = more.pop("details", [])
    return {
        "error": {
            "code": code,
            "message": message,
            "target": target,
            "requestId": REQUEST_ID,
            "details": details,
            **more,
        }
    }


ERROR_EXAMPLES: Final[dict[int, dict[str, Any]]] = {
    400: error("malformed_json", "The body is not JSON: Expecting value at line 1, column 12."),
    401: error("revoked_api_key", "This API key has been revoked. Create another.", "Authorization"),
    402: error(
        "insufficient_credits",
        "This needs 0.101001 credits and 0.004403 are available. Ask for fewer shots or a smaller circuit, or add "
        "credits.",
        "credits",
        required="0.101001",
        available="0.004403",
        limitSource="balance",
    ),
    403: error(
        "gate_refused",
        "The job may cost 0.002001 credits, more than its maxCredits. Raise maxCredits or ask for fewer shots.",
        "max_credits",
        gate="max_credits",
        limit="0.001",
        value="0.002001",
    ),
    404: error("not_found", "This account has no such job.", "jobId"),
    409: error("job_ended", "The job is completed; it cannot be cancelled.", "jobId", jobStatus="completed"),
    411: error("length_required", "Send the body with a Content-Length; chunked bodies are not read."),
    413: error("body_too_large", "The body has 2097152 bytes; at most 1048576 are read."),
    415: error("not_json", "Send JSON, with Content-Type: application/json."),
    422: error(
        "invalid_fields",
        "One field is wrong; details says which and what is allowed.",
        details=[
            {
                "path": "shots",
                "message": "It must be at least 1.",
                "allowed": "a whole number from 1 to 100000",
            }
        ],
    ),
    429: error("rate_limited", "Too many calls. Try again in 12 seconds."),
    503: error("store_unavailable", "The metering store does not answer; no job was charged. Try again shortly."),
}

# What a 409 means differs between operations; the others' is above.
CONFLICT_EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "create_job": error(
        "confirmation_required",
        "The job may cost 22.357641 credits, and this account wants to confirm what may cost more than 5. Send the "
        "same request with the quoteId in the field confirm.",
        "confirm",
        gate="confirmation",
        limit="5",
        value="22.357641",
        quoteId="WyJvcmdfMDFtODNkc3BqMzEwOTU0c2hubjlmOGZ5ZXIiXQ.hQ0bq3mN2Vw",
        price="22.357641",
        expiresAt="2026-01-31T09:40:00.000Z",
    ),
}

QUEUED_JOB: Final[dict[str, Any]] = {
    "id": JOB_ID,
    "name": "a wide Fourier transform",
    "tags": ["thesis"],
    "metadata": {"run": "7"},
    "status": "queued",
    "lane": "worker",
    "templateId": "quantum-fourier-transform",
    "parameters": {"qubits": 20},
    "options": {},
    "backend": "local-simulator",
    "engine": "qulacs",
    "engineVersion": None,
    "engineReason": "qulacs computes all 2^20 amplitudes exactly, and it is the fastest engine for that here.",
    "circuitCount": 1,
    "qubits": 20,
    "shots": 1000,
    "seed": 7,
    "cost": {"estimated": "0.48525", "held": "0.48525", "charged": "0", "priceList": PRICE_LIST_VERSION},
    "createdAt": "2026-01-31T09:30:00.000Z",
    "startedAt": None,
    "completedAt": None,
    "error": None,
    "circuit": None,
    "circuits": None,
    "queue": {"position": 3, "estimatedStartAt": "2026-01-31T09:30:02.400Z"},
    "counts": None,
    "probabilities": None,
    "bitOrder": "Classical bit 0 is the rightmost character.",
    "expectationValues": None,
    "memory": None,
    "statevector": None,
    "results": None,
    "resultDeletedAt": None,
}
COMPLETED_JOB: Final[dict[str, Any]] = QUEUED_JOB | {
    "name": None,
    "tags": [],
    "metadata": {},
    "status": "completed",
    "lane": "inline",
    "templateId": "bell-state",
    "parameters": {},
    "engineVersion": "0.6.14",
    "engineReason": "qulacs computes all 2^2 amplitudes exactly, and it is the fastest engine for that here.",
    "qubits": 2,
    "cost": {"estimated": "0.002001", "held": "0.002001", "charged": "0.002001", "priceList": PRICE_LIST_VERSION},
    "startedAt": "2026-01-31T09:30:00.001Z",
    "completedAt": "2026-01-31T09:30:00.002Z",
    "queue": None,
    "counts": {"00": 514, "11": 486},
    "probabilities": {"00": 0.5, "11": 0.5},
}
ESTIMATE: Final[dict[str, Any]] = {
    "backend": "local-simulator",
    "engine": "qulacs",
    "engineReason": "qulacs computes all 2^2 amplitudes exactly, and it is the fastest engine for that here.",
    "lane": "inline",
    "circuitCount": 1,
    "qubits": 2,
    "operations": 2,
    "memoryBytes": 64,
    "shots": 1000,
    "price": {
        "total": "0.002001",
        "base": "0.001",
        "work": "0.000001",
        "shots": "0.001",
        "priceList": PRICE_LIST_VERSION,
    },
    "wouldBeAccepted": True,
    "gates": [
        {"name": "balance", "passed": True, "limit": "99.5", "value": "0.002001", "message": None},
    ],
    "quoteId": None,
    "quoteExpiresAt": None,
}

SUMMARY: Final[dict[str, Any]] = {name: COMPLETED_JOB[name] for name in JobSummaryJson.__annotations__}

# By the shape's name, and the status where that makes a difference.
SUCCESS_EXAMPLES: Final[dict[tuple[str, int | None], dict[str, Any]]] = {
    ("JobJson", None): COMPLETED_JOB,
    ("JobJson", 202): QUEUED_JOB,
    ("JobListJson", None): {"jobs": [SUMMARY], "nextCursor": None},
    ("EstimateJson", None): ESTIMATE,
    **{(shape, None): example for shape, example in EXAMPLES.items()},
}

BODY_EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "JobBody": {"templateId": "bell-state", "shots": 1000, "seed": 7, "maxCredits": "0.5"},
}
