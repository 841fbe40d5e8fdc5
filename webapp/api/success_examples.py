"""Examples of successes in the OpenAPI document, but for those of jobs."""

from typing import Any, Final

KEY_ID: Final = "key_01m83dspj310954shnn9f8fyer"
CREATED_AT: Final = "2026-01-31T09:30:00.000Z"

TEMPLATE: Final[dict[str, Any]] = {
    "id": "ghz-state",
    "name": "GHZ state",
    "category": "entanglement",
    "description": "Entangles any number of qubits, so that all of them agree.",
    "explanation": "A Hadamard gate on the first qubit, and then a chain of CNOT gates.",
    "expect": "All zeros or all ones, each half of the time.",
    "qubits": {"minimum": 2, "maximum": 20, "default": 3},
    "parameters": [
        {
            "name": "qubits",
            "type": "integer",
            "description": "How many qubits.",
            "default": 3,
            "minimum": 2,
            "maximum": 20,
            "choices": None,
            "allowed": "a whole number from 2 to 20",
        }
    ],
}
BACKEND: Final[dict[str, Any]] = {
    "id": "stim",
    "name": "Stim",
    "description": "Samples Clifford circuits of hundreds of qubits.",
    "kind": "simulator",
    "status": "online",
    "statusReason": None,
    "qubits": 1024,
    "maxShots": 100000,
    "gates": ["h", "x", "cx"],
    "engines": ["stim"],
    "price": "0.001 credits per job, 0.000001 per shot, and the work of the engine.",
    "queueDepth": 0,
}
KEY: Final[dict[str, Any]] = {
    "id": KEY_ID,
    "name": "ci",
    "prefix": "upcube_sk_a1b2c3",
    "mode": "live",
    "organisationId": "org_01m83dspj310954shnn9f8fyer",
    "scopes": ["jobs:write", "jobs:read"],
    "limits": [{"name": "key", "quota": 600, "windowSeconds": 60, "remaining": 599}],
    "budget": [
        {
            "source": "key_budget",
            "keyId": KEY_ID,
            "period": "day",
            "limit": "5",
            "used": "0.002001",
            "remaining": "4.997999",
            "refuses": True,
            "resetsAt": "2026-02-01T00:00:00.000Z",
        }
    ],
}
MANAGED_KEY: Final[dict[str, Any]] = {
    "id": KEY_ID,
    "name": "ci",
    "description": "Nightly runs",
    "prefix": "upcube_sk_a1b2c3",
    "status": "active",
    "mode": "live",
    "scopes": ["jobs:write", "jobs:read"],
    "rateLimits": [{"calls": 60, "seconds": 60}],
    "budgets": [{"period": "day", "limit": "5", "refuses": True}],
    "addresses": ["192.0.2.0/24"],
    "tags": ["nightly"],
    "createdAt": CREATED_AT,
    "createdByKeyId": None,
    "expiresAt": None,
    "revokedAt": None,
}
CREDITS: Final[dict[str, Any]] = {
    "granted": "100",
    "available": "99.5",
    "held": "0",
    "unflushed": "0",
    "spent": "0.5",
    "expired": "0",
    "expiring": [{"amount": "20", "expiresAt": "2026-03-01T00:00:00.000Z"}],
    "transfers": [
        {
            "id": "tr_01m83dspj310954shnn9f8fyer",
            "kind": "charge",
            "amount": "0.5",
            "from": "available",
            "to": "spent",
            "reference": "hold:job_01m83dspj310954shnn9f8fyer",
            "reason": "Job job_01m83dspj310954shnn9f8fyer",
            "createdAt": CREATED_AT,
        }
    ],
    "nextCursor": None,
}
USAGE: Final[dict[str, Any]] = {
    "from": "2026-01-30T00:00:00.000Z",
    "to": "2026-01-31T10:00:00.000Z",
    "groupBy": "key",
    "usage": [{"group": KEY_ID, "name": "ci", "calls": 40, "credits": "0.5"}],
    "total": {"calls": 40, "credits": "0.5"},
}

# By the shape's name, whatever the status.
EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "TemplateJson": TEMPLATE,
    "TemplateListJson": {"templates": [TEMPLATE]},
    "BackendJson": BACKEND,
    "BackendListJson": {"backends": [BACKEND]},
    "KeyJson": KEY,
    "ManagedKeyJson": MANAGED_KEY,
    "NewKeyJson": MANAGED_KEY | {"key": "upcube_sk_…"},
    "RevokedKeyJson": MANAGED_KEY | {"status": "revoked", "revokedAt": CREATED_AT, "revokedDescendants": []},
    "ManagedKeyListJson": {"keys": [MANAGED_KEY], "nextCursor": None},
    "LeakReceiptJson": {"received": 1},
    "CreditsJson": CREDITS,
    "UsageJson": USAGE,
}
