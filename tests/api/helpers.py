"""What the tests of the API share."""

import re
from dataclasses import dataclass
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.factories import API, Account, Key, count_jobs, now
from webapp.jobs.running import claim_job, complete_job
from webapp.ledger.queries import list_transfers
from webapp.metering.credits import get_credits
from webapp.metering.reconcile import peek_account
from webapp.metering.verify import verify
from webapp.quantum.engines import RunResult

SNAKE_CASE = re.compile(r"[a-z]+(_[a-z]+)*")
RESULT = RunResult({"00": 100}, {"00": 1.0}, "odd", "1", 0.0)


@dataclass(frozen=True)
class Service:
    """An application, and an account with a key in it."""

    app: Flask
    client: FlaskClient
    account: Account
    key: Key

    def get(self, path: str, **options: Any) -> TestResponse:  # noqa: ANN401 - whatever the client takes
        """Read a path of the API with the key."""
        return self.client.get(API + path, headers=self.key.headers, **options)

    def post(self, data: bytes, *, content_type: str | None = "application/json") -> TestResponse:
        """Send these bytes to POST /jobs with the key."""
        return self.client.post(f"{API}/jobs", data=data, content_type=content_type, headers=self.key.headers)

    def post_json(self, **body: object) -> TestResponse:
        """Run the Bell state, with these fields added or replaced."""
        return self.client.post(
            f"{API}/jobs", json={"templateId": "bell-state", "shots": 10} | body, headers=self.key.headers
        )


def read_error(answer: TestResponse, status: int, code: str) -> dict[str, Any]:
    """Give the error of an answer that must be this one, in the contract's envelope."""
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    error: dict[str, Any] = answer.get_json()["error"]
    assert list(error)[:5] == ["code", "message", "target", "requestId", "details"]
    assert error["code"] == code
    assert SNAKE_CASE.fullmatch(code)
    assert error["message"]
    assert error["requestId"] == answer.headers["X-Request-Id"]
    assert isinstance(error["details"], list)
    return error


def post(client: FlaskClient, key: Key, path: str = "/jobs", /, **options: Any) -> TestResponse:  # noqa: ANN401 - any header or field
    """Post the Bell state; `headers` and fields by name."""
    headers = options.pop("headers", {})
    body = {"templateId": "bell-state", "shots": 100, "seed": 1} | options
    return client.post(API + path, json=body, headers=key.headers | headers)


def run_next(app: Flask) -> None:
    """Run the job whose turn it is."""
    with app.app_context():
        assignment = claim_job(at=now())
        assert assignment is not None
        assert complete_job(assignment, [RESULT], at=now())


def assert_nothing_happened(account: Account) -> None:
    """Assert that the account has run, paid and reserved nothing, and that all figures agree."""
    assert count_jobs(account.organisation_id) == 0
    assert [transfer.kind for transfer in list_transfers(account.organisation_id, limit=5).rows] == ["grant"]
    assert peek_account(account.shard_tag).holds == {}
    found = get_credits(account.organisation_id)
    assert (found.available, found.held, found.spent) == (found.granted, 0, 0)
    assert verify() == []
