"""Header fields that say how a request is to be answered: Prefer, and Idempotency-Key."""

import re
from dataclasses import dataclass

from flask import request

from webapp.api.schemas import HeaderField, refuse
from webapp.core.errors import FieldError
from webapp.jobs.waiting import MAX_WAIT_SECONDS

IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")
ALLOWED_KEY = "1 to 255 visible ASCII characters without spaces"
WAIT = re.compile(r"wait\s*=\s*\"?([0-9]{1,9})\"?")

PREFER = HeaderField(
    "Prefer",
    f"respond-async: queue even a small job. wait=N: wait up to N seconds (at most {MAX_WAIT_SECONDS}) for the result.",
    "wait=10",
)
IDEMPOTENCY = HeaderField(
    "Idempotency-Key",
    f"A name of your own for this request: {ALLOWED_KEY}. For 24 hours a repeat is given the first answer, and runs "
    "nothing; the same key with a body that asks for something else is a 409.",
    "order-4711",
)


@dataclass(frozen=True)
class Preferences:
    """What the caller prefers (RFC 7240): not to wait at all, or to wait for a result up to so many seconds."""

    respond_async: bool
    wait_seconds: int


def read_preferences() -> Preferences:
    """Read Prefer; what is not understood is ignored, as the RFC wants it."""
    preferences = [part.strip().lower() for part in request.headers.get("Prefer", "").split(",")]
    waits = [int(match[1]) for part in preferences if (match := WAIT.fullmatch(part))]
    return Preferences(
        respond_async="respond-async" in preferences,
        wait_seconds=min(waits[0], MAX_WAIT_SECONDS) if waits else 0,
    )


def read_idempotency_key() -> str | None:
    """Read Idempotency-Key. Raises InvalidFieldsError."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not IDEMPOTENCY_KEY.fullmatch(key):
        refuse([FieldError("Idempotency-Key", f"The header must have {ALLOWED_KEY}.", ALLOWED_KEY)])
    return key
