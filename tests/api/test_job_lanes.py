"""How POST /jobs answers: at once, later, or after a wait; confirmed; and cancelled."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from flask import Flask
from flask.testing import FlaskClient

from config import Settings
from tests.api.helpers import assert_nothing_happened, post, read_error, run_next
from tests.factories import API, Account, Key, count_jobs, log_in, make_account, make_key, now, post_bell, queue_bell
from tests.live import call, job_worker, wait_until, web_process
from webapp.accounts.audit import OPERATOR
from webapp.core.db import db
from webapp.jobs import waiting
from webapp.jobs.confirmation import set_confirmation
from webapp.jobs.models import Job
from webapp.jobs.pruning import prune_results
from webapp.jobs.quotes import QuoteBook
from webapp.jobs.running import claim_job
from webapp.metering.budgets import set_budget
from webapp.metering.credits import get_credits
from webapp.metering.verify import verify

BELL_MICROCREDITS = 1_101


@pytest.fixture
def account(app: Flask) -> Account:
    with app.app_context():
        return make_account(microcredits=1_000_000)


class TestLanes:
    """Small circuits answer with their result; others, and those that prefer it, are queued."""

    def test_a_preference_queues_even_a_small_job(self, app: Flask, client: FlaskClient, key: Key) -> None:
        answer = post(client, key, headers={"Prefer": "respond-async"})
        job = answer.get_json()
        assert answer.status_code == 202
        assert answer.headers["Location"] == f"{API}/jobs/{job['id']}"
        assert (job["status"], job["lane"], job["counts"], job["startedAt"]) == ("queued", "worker", None, None)
        assert (job["cost"]["held"], job["cost"]["charged"], job["queue"]["position"]) == ("0.001101", "0", 1)
        run_next(app)
        done = client.get(answer.headers["Location"], headers=key.headers).get_json()
        assert (done["status"], done["counts"], done["queue"]) == ("completed", {"00": 100}, None)
        assert done["cost"]["charged"] == "0.001101"

    def test_the_hold_of_a_queued_job_is_part_of_what_is_held(
        self, app: Flask, client: FlaskClient, account: Account, key: Key
    ) -> None:
        queue_bell(client, key)
        with app.app_context():
            found = get_credits(account.organisation_id)
            assert (found.available, found.held) == (1_000_000 - BELL_MICROCREDITS, BELL_MICROCREDITS)
            assert verify() == []

    @pytest.mark.parametrize("prefer", ["", "wait=x", "wait=-1", "handling=lenient", "return=minimal", ",,;="])
    def test_a_preference_that_is_not_understood_is_ignored(self, client: FlaskClient, key: Key, prefer: str) -> None:
        assert post(client, key, headers={"Prefer": prefer}).status_code == 201

    def test_a_wait_gives_the_result_when_it_comes_in_time(
        self, settings: Settings, client: FlaskClient, key: Key
    ) -> None:
        with job_worker(settings):
            answer = post(client, key, headers={"Prefer": "respond-async, wait=30"})
        assert (answer.status_code, answer.get_json()["status"]) == (201, "completed")

    def test_a_wait_that_was_in_vain_answers_as_if_there_was_none(self, client: FlaskClient, key: Key) -> None:
        answer = post(client, key, headers={"Prefer": "respond-async, wait=0"})
        assert (answer.status_code, answer.get_json()["status"]) == (202, "queued")

    def test_beyond_a_few_nobody_waits(self, client: FlaskClient, key: Key) -> None:
        taken = [waiting.places.acquire(blocking=False) for _ in range(waiting.MAX_WAITING)]
        try:
            assert all(taken)
            assert post(client, key, headers={"Prefer": "respond-async, wait=60"}).status_code == 202
        finally:
            for _ in taken:
                waiting.places.release()


@pytest.mark.parametrize("kind", ["sqlite"])
def test_waiting_clients_and_open_pages_do_not_starve_the_others(kind: str, settings: Settings, app: Flask) -> None:
    if not settings.database_url.startswith(kind):
        pytest.skip("it is the web process's threads that are tested")
    with app.app_context():
        account = make_account()
        key = make_key(account)
    browser = app.test_client()
    log_in(browser, account)
    body = {"templateId": "bell-state", "shots": 10}
    with web_process(settings, MAX_CONCURRENT_JOBS="1000") as api, ThreadPoolExecutor(max_workers=40) as threads:
        waits = [
            threads.submit(call, "POST", f"{api}/jobs", raw_key=key.raw, body=body, prefer="respond-async, wait=60")
            for _ in range(40)
        ]
        # More clients wait than the server has threads; all but a few were told to come back.
        wait_until(lambda: sum(future.done() for future in waits) == 40 - waiting.MAX_WAITING)
        waiting_ids = [future.result().body["id"] for future in waits if future.done()]
        address, cookie = api.removesuffix(API) + "/console/jobs/", browser.get_cookie("upcube_session")
        assert cookie is not None
        pages = [threads.submit(watch, address + job_id, cookie.value) for job_id in waiting_ids]
        for _ in range(20):
            assert call("GET", f"{api}/templates", raw_key=key.raw).status == 200
        assert [page.result() for page in pages] == [[304] * 3] * len(waiting_ids)
        assert sum(not future.done() for future in waits) == waiting.MAX_WAITING
        with job_worker(settings):
            assert sorted(future.result().status for future in waits) == [201] * waiting.MAX_WAITING + [202] * 32


def watch(address: str, session: str) -> list[int]:
    """Open a job's page and look a few times whether anything is new, as the page does; give what that was answered."""
    headers = {"Cookie": f"upcube_session={session}"}
    with urlopen(Request(address, headers=headers), timeout=30) as page:  # noqa: S310 - loopback only
        headers["If-None-Match"] = page.headers["ETag"]
    statuses = []
    for _ in range(3):
        with pytest.raises(HTTPError) as unchanged:
            urlopen(Request(address, headers=headers), timeout=30)  # noqa: S310 - loopback only
        statuses.append(unchanged.value.code)
        unchanged.value.close()
    return statuses


class TestEstimate:
    """POST /jobs/estimate tells everything and does nothing."""

    GATES = (
        "scope backend size max_credits key_budget account_budget balance concurrency confirmation".split()  # noqa: SIM905 - a list of nine is longer
    )

    def test_every_gate_speaks_in_order_and_nothing_happens(
        self, app: Flask, client: FlaskClient, account: Account, key: Key
    ) -> None:
        answer = post(client, key, "/jobs/estimate")
        found = answer.get_json()
        assert answer.status_code == 200
        assert [gate["name"] for gate in found["gates"]] == self.GATES
        assert all(gate["passed"] and gate["message"] is None for gate in found["gates"])
        assert (found["wouldBeAccepted"], found["lane"], found["engine"]) == (True, "inline", "qulacs")
        assert found["price"]["total"] == "0.001101"
        assert found["quoteId"] is None
        with app.app_context():
            assert_nothing_happened(account)

    def test_all_refusals_are_told_at_once(self, app: Flask, client: FlaskClient) -> None:
        with app.app_context():
            poor = make_key(make_account(microcredits=1_000))
            set_confirmation(
                organisation_id=poor.row.organisation_id, above_microcredits=1_000, actor=OPERATOR, at=now()
            )
        body = {"backend": "ionq-forte", "maxCredits": "0.0001"}
        found = post(client, poor, "/jobs/estimate", **body).get_json()
        refused = {gate["name"] for gate in found["gates"] if not gate["passed"]}
        assert refused == {"backend", "max_credits", "balance", "confirmation"}
        assert all(gate["message"] for gate in found["gates"] if not gate["passed"])
        assert not found["wouldBeAccepted"]
        assert found["engine"] is None

    @pytest.mark.parametrize("level", ["key", "account"])
    def test_a_budget_is_a_gate(self, app: Flask, client: FlaskClient, account: Account, key: Key, level: str) -> None:
        with app.app_context():
            set_budget(
                organisation_id=account.organisation_id,
                key_id=key.row.id if level == "key" else None,
                period="day",
                microcredits=2_000,
                refuses=True,
                actor=OPERATOR,
                at=now(),
            )
        queue_bell(client, key)
        found = post(client, key, "/jobs/estimate").get_json()
        [gate] = [gate for gate in found["gates"] if not gate["passed"]]
        assert (gate["name"], gate["limit"], gate["value"]) == (f"{level}_budget", "0.000899", "0.001101")
        error = read_error(post(client, key), 402, "budget_exceeded")
        assert (error["limitSource"], error["available"]) == (f"{level}_budget", "0.000899")

    def test_an_estimate_is_what_is_held_and_charged(self, client: FlaskClient, key: Key) -> None:
        for parameters in ({"qubits": 3}, {"qubits": 9}):
            body = {"templateId": "quantum-fourier-transform", "parameters": parameters}
            price = post(client, key, "/jobs/estimate", **body).get_json()["price"]["total"]
            cost = post(client, key, **body).get_json()["cost"]
            assert (cost["estimated"], cost["held"], cost["charged"]) == (price, price, price)

    def test_a_wrong_body_is_refused_as_for_a_job(self, client: FlaskClient, key: Key) -> None:
        error = read_error(post(client, key, "/jobs/estimate", shots=0, extra=1), 422, "invalid_fields")
        assert {detail["path"] for detail in error["details"]} == {"shots", "extra"}


class TestConfirmation:
    """Above what the account lets pass, a job wants its price confirmed."""

    @pytest.fixture(autouse=True)
    def _confirm_above(self, app: Flask, account: Account) -> None:
        with app.app_context():
            set_confirmation(
                organisation_id=account.organisation_id, above_microcredits=1_500, actor=OPERATOR, at=now()
            )

    def test_the_quote_sent_back_lets_exactly_this_request_through(
        self, app: Flask, client: FlaskClient, account: Account, key: Key
    ) -> None:
        assert post(client, key).status_code == 201
        error = read_error(post(client, key, shots=1000), 409, "confirmation_required")
        assert (error["price"], error["limit"], error["gate"]) == ("0.002001", "0.0015", "confirmation")
        assert "another request" not in error["message"]
        unfit = read_error(post(client, key, shots=1001, confirm=error["quoteId"]), 409, "confirmation_required")
        assert "another request, of another price, or older" in unfit["message"]
        read_error(post(client, key, shots=1000, confirm=error["quoteId"][:-1]), 409, "confirmation_required")
        confirmed = post(client, key, shots=1000, confirm=error["quoteId"])
        assert (confirmed.status_code, confirmed.get_json()["cost"]["charged"]) == (201, "0.002001")
        with app.app_context():
            assert count_jobs(account.organisation_id) == 2

    def test_the_estimate_holds_the_quote_and_knows_it_again(self, client: FlaskClient, key: Key) -> None:
        found = post(client, key, "/jobs/estimate", shots=1000).get_json()
        assert not found["wouldBeAccepted"]
        again = post(client, key, "/jobs/estimate", shots=1000, confirm=found["quoteId"]).get_json()
        assert again["wouldBeAccepted"]
        assert post(client, key, shots=1000, confirm=found["quoteId"]).status_code == 201

    def test_what_cannot_be_paid_is_not_put_to_the_account(self, client: FlaskClient, key: Key) -> None:
        body = {"shots": 100_000}
        quote = read_error(post(client, key, **body), 409, "confirmation_required")["quoteId"]
        assert [post(client, key, confirm=quote, **body).status_code for _ in range(9)] == [201] * 9
        read_error(post(client, key, **body), 402, "insufficient_credits")

    def test_a_quote_is_of_one_account_one_price_and_ten_minutes(self) -> None:
        at = now()
        subject: dict[str, Any] = {"organisation_id": "org_1", "digest": "d", "microcredits": 5}
        quote = QuoteBook("secret").make(**subject, at=at)
        book = QuoteBook("secret")
        assert book.confirms(quote.id, **subject, at=at + timedelta(minutes=9))
        assert not book.confirms(quote.id, **subject, at=at + timedelta(minutes=11))
        assert not QuoteBook("other").confirms(quote.id, **subject, at=at)
        for change in ({"organisation_id": "org_2"}, {"digest": "e"}, {"microcredits": 6}):
            assert not book.confirms(quote.id, **(subject | change), at=at)
        for wrong in ("", "x", "x.y", quote.id[::-1]):
            assert not book.confirms(wrong, **subject, at=at)


class TestCancel:
    """POST /jobs/{jobId}/cancel."""

    def test_a_queued_job_is_cancelled_at_once_and_costs_nothing(
        self, app: Flask, client: FlaskClient, account: Account, key: Key
    ) -> None:
        job_id = queue_bell(client, key)
        for _ in range(2):
            answer = client.post(f"{API}/jobs/{job_id}/cancel", headers=key.headers)
            assert (answer.status_code, answer.get_json()["status"]) == (200, "cancelled")
        with app.app_context():
            assert claim_job(at=now()) is None
            found = get_credits(account.organisation_id)
            assert (found.available, found.held, found.spent) == (1_000_000, 0, 0)
            assert verify() == []

    def test_a_job_that_has_ended_says_how(self, client: FlaskClient, key: Key) -> None:
        job_id = post_bell(client, key).get_json()["id"]
        error = read_error(client.post(f"{API}/jobs/{job_id}/cancel", headers=key.headers), 409, "job_ended")
        assert error["jobStatus"] == "completed"

    def test_a_strangers_job_does_not_exist(self, app: Flask, client: FlaskClient, key: Key) -> None:
        job_id = queue_bell(client, key)
        with app.app_context():
            stranger = make_key(make_account())
        answer = client.post(f"{API}/jobs/{job_id}/cancel", headers=stranger.headers)
        read_error(answer, 404, "not_found")
        with app.app_context():
            assert db.session.get_one(Job, job_id).status == "queued"


def test_as_many_jobs_may_be_open_as_the_operator_allows(app: Flask, client: FlaskClient, key: Key) -> None:
    for _ in range(16):
        queue_bell(client, key)
    error = read_error(post(client, key), 403, "gate_refused")
    assert (error["gate"], error["limit"]) == ("concurrency", "16")
    found = post(client, key, "/jobs/estimate").get_json()
    assert [gate["name"] for gate in found["gates"] if not gate["passed"]] == ["concurrency"]
    run_next(app)
    assert post(client, key).status_code == 201


def test_old_results_are_deleted_and_their_jobs_stay(app: Flask, client: FlaskClient, key: Key) -> None:
    answer = post(client, key)
    with app.app_context():
        assert prune_results(before=now() - timedelta(days=1)) == 0
        assert prune_results(before=now() + timedelta(days=1)) == 1
        assert prune_results(before=now() + timedelta(days=1)) == 0
    job = client.get(answer.headers["Location"], headers=key.headers).get_json()
    assert (job["status"], job["counts"], job["probabilities"]) == ("completed", None, None)
    assert job["resultDeletedAt"] is not None
    assert job["cost"] == answer.get_json()["cost"]
