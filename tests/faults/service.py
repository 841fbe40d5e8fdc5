"""The service that tests of faults run: its prices, and what must be true of it afterwards."""

from flask import Flask

from tests.factories import Key, count_jobs, now
from webapp.metering.credits import get_credits
from webapp.metering.flush import flush
from webapp.metering.queries import list_keys_with_usage
from webapp.metering.verify import verify

BELL = {"templateId": "bell-state", "shots": 100, "seed": 1}
BELL_MICROCREDITS = 1_101
CALL_MICROCREDITS = 100

# Calls that cost something and are limited by nothing.
LOADED = {"CALL_PRICE_CREDITS": "0.0001", "KEY_RATE_LIMITS": "1000000/1", "ACCOUNT_RATE_LIMITS": "1000000/1"}


def count_exactly(app: Flask, key: Key) -> tuple[int, int]:
    """Flush, check that all figures agree, and give how many calls and jobs were paid for."""
    with app.app_context():
        flush(at=now())
        assert verify() == []
        jobs = count_jobs(key.row.organisation_id)
        [usage] = list_keys_with_usage(key.row.organisation_id)
        found = get_credits(key.row.organisation_id)
    assert found.spent == usage.calls * CALL_MICROCREDITS + jobs * BELL_MICROCREDITS
    assert (found.held, found.unflushed) == (0, 0)
    return usage.calls, jobs
