"""POST /jobs with an Idempotency-Key, which runs once however often it is sent."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from config import Settings
from tests.api.helpers import assert_nothing_happened, post, read_error, run_next
from tests.factories import API, Account, Key, count_jobs, make_account, make_key, now
from tests.live import job_worker, wait_until
from webapp.core.redis import store
from webapp.core.redis_names import unanswered_request
from webapp.jobs import idempotency
from webapp.jobs.idempotency import prune_answers
from webapp.jobs.models import SavedAnswer
from webapp.metering.credits import get_credits
from webapp.metering.verify import verify

BELL_MICROCREDITS = 1_101


class TestIdempotency:
    """A request with an Idempotency-Key runs once."""

    HEADERS = {"Idempotency-Key": "order-1"}  # noqa: RUF012 - never changed

    @pytest.mark.parametrize("prefer", ["", "respond-async"])
    def test_a_repeat_is_given_the_first_answer_and_runs_nothing(
        self, app: Flask, client: FlaskClient, account: Account, key: Key, prefer: str
    ) -> None:
        headers = self.HEADERS | {"Prefer": prefer}
        first = post(client, key, headers=headers, seed=None, shots=1000)
        if prefer:
            run_next(app)
        again = post(client, key, headers=headers, seed=None, shots=1000)
        assert "Idempotency-Replayed" not in first.headers
        assert again.headers["Idempotency-Replayed"] == "true"
        assert again.headers["Location"] == first.headers["Location"]
        assert (again.status_code, again.get_json()) == (first.status_code, first.get_json())
        with app.app_context():
            assert count_jobs(account.organisation_id) == 1
            assert get_credits(account.organisation_id).spent == 2_001
            assert verify() == []

    def test_another_body_is_a_conflict_however_it_is_written(self, client: FlaskClient, key: Key) -> None:
        post(client, key, headers=self.HEADERS)
        error = read_error(post(client, key, headers=self.HEADERS, shots=101), 409, "idempotency_conflict")
        assert error["target"] == "Idempotency-Key"
        body = b'{ "seed":1,"shots":100,  "templateId":"bell-state"}'
        headers = key.headers | self.HEADERS | {"Content-Type": "application/json"}
        assert client.post(f"{API}/jobs", data=body, headers=headers).headers["Idempotency-Replayed"] == "true"

    @pytest.mark.parametrize(
        ("first", "same"),
        [
            ({"tags": ["a", "b", "a"]}, {"tags": ["a", "b"]}),
            ({"shots": 100}, {"shots": 100.0}),
            ({"templateId": "two-local-ansatz", "parameters": {"theta": 1}}, {"parameters": {"theta": 1.0}}),
            ({"maxCredits": "1"}, {"maxCredits": "1.00"}),
            ({}, {"backend": "local-simulator", "memory": False, "tags": [], "noise": None}),
        ],
    )
    def test_what_asks_for_the_same_is_the_same_request(
        self, client: FlaskClient, key: Key, first: dict[str, Any], same: dict[str, Any]
    ) -> None:
        made = post(client, key, headers=self.HEADERS, **first)
        again = post(client, key, headers=self.HEADERS, **(first | same))
        assert (made.status_code, again.status_code) == (201, 201)
        assert again.headers["Idempotency-Replayed"] == "true"

    @pytest.mark.parametrize(
        "other", [{"tags": ["b", "a"]}, {"seed": None}, {"maxCredits": "2"}, {"metadata": {"a": "b"}}, {"memory": True}]
    )
    def test_what_asks_for_something_else_is_another_request(
        self, client: FlaskClient, key: Key, other: dict[str, Any]
    ) -> None:
        post(client, key, headers=self.HEADERS, tags=["a", "b"])
        again = post(client, key, headers=self.HEADERS, **({"tags": ["a", "b"]} | other))
        read_error(again, 409, "idempotency_conflict")

    def test_a_key_is_its_accounts_own(self, app: Flask, client: FlaskClient, key: Key) -> None:
        with app.app_context():
            stranger = make_key(make_account())
        mine, theirs = (post(client, each, headers=self.HEADERS) for each in (key, stranger))
        assert (mine.status_code, theirs.status_code) == (201, 201)
        assert mine.get_json()["id"] != theirs.get_json()["id"]

    def test_a_refusal_is_not_saved(self, app: Flask, client: FlaskClient, account: Account, key: Key) -> None:
        read_error(post(client, key, headers=self.HEADERS, maxCredits="0"), 403, "gate_refused")
        read_error(post(client, key, headers=self.HEADERS, shots=0), 422, "invalid_fields")
        with app.app_context():
            assert_nothing_happened(account)
        assert post(client, key, headers=self.HEADERS).status_code == 201

    @pytest.mark.parametrize("bad", ["", " ", "a b", "x" * 256, "schlüssel".encode().decode("latin-1")])
    def test_a_key_is_short_and_visible(self, client: FlaskClient, key: Key, bad: str) -> None:
        error = read_error(post(client, key, headers={"Idempotency-Key": bad}), 422, "invalid_fields")
        assert error["details"][0]["path"] == "Idempotency-Key"

    def test_of_twenty_at_once_one_runs(self, app: Flask, account: Account, key: Key) -> None:
        together = threading.Barrier(20)

        def send(_: int) -> TestResponse:
            together.wait(timeout=10)
            return post(app.test_client(), key, headers=self.HEADERS)

        with ThreadPoolExecutor(max_workers=20) as threads:
            answers = list(threads.map(send, range(20)))
        first = {answer.get_json()["id"] for answer in answers if answer.status_code == 201}
        assert len(first) == 1
        for answer in answers:
            if answer.status_code != 201:
                read_error(answer, 409, "idempotency_in_progress")
                assert answer.headers["Retry-After"] == "1"
        self.check_one(app, account)

    def test_where_the_note_in_redis_is_lost_sql_still_lets_one_through(
        self, app: Flask, account: Account, key: Key, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        together = threading.Barrier(2)
        find = idempotency.find_answer
        calls = itertools.count()

        def find_together(*arguments: Any) -> SavedAnswer | None:  # noqa: ANN401 - whatever it takes
            found = find(*arguments)
            if next(calls) < 2:
                store.client.delete(unanswered_request(account.shard_tag, account.organisation_id, "order-1"))
                together.wait(timeout=10)
            return found

        def send(_: int) -> TestResponse:
            return post(app.test_client(), key, headers=self.HEADERS)

        monkeypatch.setattr("webapp.jobs.operations.find_answer", find_together)
        with ThreadPoolExecutor(max_workers=2) as threads:
            first = threads.submit(send, 1)
            wait_until(lambda: together.n_waiting == 1)
            answers = [send(2), first.result()]
        assert [answer.status_code for answer in answers] == [201, 201]
        assert len({answer.get_json()["id"] for answer in answers}) == 1
        self.check_one(app, account)

    def check_one(self, app: Flask, account: Account) -> None:
        with app.app_context():
            assert count_jobs(account.organisation_id) == 1
            found = get_credits(account.organisation_id)
            assert (found.held, found.spent) == (0, BELL_MICROCREDITS)
            assert verify() == []

    def test_what_came_after_a_wait_is_what_is_repeated(
        self, settings: Settings, client: FlaskClient, key: Key
    ) -> None:
        headers = self.HEADERS | {"Prefer": "respond-async, wait=30"}
        with job_worker(settings):
            first = post(client, key, headers=headers)
        again = post(client, key, headers=headers)
        assert first.status_code == again.status_code == 201
        assert again.get_json() == first.get_json()

    def test_an_answer_is_kept_for_a_day(self, app: Flask, client: FlaskClient, key: Key) -> None:
        post(client, key, headers=self.HEADERS)
        with app.app_context():
            assert prune_answers(at=now() + timedelta(hours=23)) == 0
            assert prune_answers(at=now() + timedelta(hours=25)) == 1
        assert "Idempotency-Replayed" not in post(client, key, headers=self.HEADERS).headers
