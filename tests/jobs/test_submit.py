"""Jobs from the request to the ledger: what they give, what they cost, and what a failure leaves behind."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from tests import stores
from tests.api.helpers import assert_nothing_happened, read_error
from tests.factories import API, Account, Key, count_jobs, make_account, make_key, now, post_bell
from tests.jobs import broken_engine
from webapp.core.driver import DriverConnection
from webapp.ledger.queries import list_transfers
from webapp.metering.credits import get_credits
from webapp.metering.flush import flush
from webapp.metering.holds import end_overdue_holds
from webapp.metering.queries import list_keys_with_usage
from webapp.metering.verify import verify
from webapp.quantum.engines import CircuitTooLargeError, catalogue, get_engine
from webapp.quantum.templates import Template, list_templates

BELL_MICROCREDITS = 1_101
BELL_CREDITS = "0.001101"


@pytest.fixture
def account(app: Flask) -> Account:
    with app.app_context():
        return make_account(microcredits=1_000_000)


class TestResult:
    """What a finished job says."""

    def test_a_bell_pair_agrees_and_its_price_is_charged(
        self, app: Flask, client: FlaskClient, account: Account, key: Key
    ) -> None:
        answer = post_bell(client, key, name="a pair")
        job = answer.get_json()
        assert answer.status_code == 201
        assert answer.headers["Location"] == f"{API}/jobs/{job['id']}"
        assert set(job["counts"]) == {"00", "11"}
        assert sum(job["counts"].values()) == 100
        assert job["probabilities"] == pytest.approx({"00": 0.5, "11": 0.5})
        assert (job["status"], job["error"], job["name"], job["seed"]) == ("completed", None, "a pair", 1)
        assert (job["backend"], job["engine"], job["qubits"]) == ("local-simulator", "qulacs", 2)
        assert job["createdAt"] <= job["startedAt"] <= job["completedAt"]
        assert job["createdAt"].endswith("Z")
        cost = job["cost"]
        assert (cost["estimated"], cost["held"], cost["charged"]) == (BELL_CREDITS,) * 3
        assert client.get(f"{API}/jobs/{job['id']}", headers=key.headers).get_json() == job
        with app.app_context():
            found = get_credits(account.organisation_id)
            assert (found.available, found.held, found.spent) == (998_899, 0, BELL_MICROCREDITS)
            charge = list_transfers(account.organisation_id, limit=5).rows[0]
            assert (charge.microcredits, charge.reference) == (BELL_MICROCREDITS, f"hold:{job['id']}")
            flush(at=now())
            [usage] = list_keys_with_usage(account.organisation_id)
            assert (usage.calls, usage.microcredits) == (2, BELL_MICROCREDITS)
            assert verify() == []

    def test_the_same_seed_gives_the_same_counts_and_another_seed_others(self, client: FlaskClient, key: Key) -> None:
        first, again, other = (
            post_bell(client, key, templateId="ghz-state", shots=10_000, seed=seed).get_json() for seed in (7, 7, 8)
        )
        assert first["counts"] == again["counts"] != other["counts"]

    def test_a_seed_is_drawn_and_told_where_none_is_given(self, client: FlaskClient, key: Key) -> None:
        body = {"seed": None, "shots": 10_000}
        first, second = (post_bell(client, key, **body).get_json() for _ in range(2))
        assert first["seed"] != second["seed"]
        assert post_bell(client, key, shots=10_000, seed=first["seed"]).get_json()["counts"] == first["counts"]

    def test_the_ends_of_every_range_are_accepted(self, client: FlaskClient, key: Key) -> None:
        for body in ({"shots": 1, "seed": 0}, {"shots": 100_000, "seed": 2**53 - 1}, {"maxCredits": "1000000000"}):
            answer = post_bell(client, key, **body)
            assert answer.status_code == 201, answer.text
            assert sum(answer.get_json()["counts"].values()) == answer.get_json()["shots"]

    def test_a_byte_order_mark_and_a_negative_zero_do_no_harm(self, client: FlaskClient, key: Key) -> None:
        body = b'\xef\xbb\xbf{"templateId": "bell-state", "shots": 10, "seed": -0, "name": "\\ud83d\\ude00"}'
        answer = client.post(f"{API}/jobs", data=body, content_type="application/json", headers=key.headers)
        assert answer.status_code == 201
        assert (answer.get_json()["seed"], answer.get_json()["name"]) == (0, "😀")


def largest_parameters(template: Template) -> dict[str, object]:
    """Give the parameters that make a template's circuit as large as it gets."""
    return {
        parameter.name: parameter.choices[-1]
        if parameter.choices
        else "1" * int(parameter.maximum or 0)
        if parameter.type == "string"
        else parameter.maximum
        for parameter in template.parameters
    }


@pytest.mark.parametrize("database_url", stores.DATABASES[:1], indirect=True)
def test_every_template_runs_as_it_is_and_at_its_largest(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        key = make_key(make_account(microcredits=1_000_000_000))
    for template in list_templates():
        for parameters in ({}, largest_parameters(template)):
            # On the engine that runs in this process: the router sends the widest GHZ state to Stim, on a worker.
            answer = post_bell(client, key, templateId=template.id, parameters=parameters, backend="qulacs")
            assert answer.status_code == 201, (template.id, answer.text)
            job = answer.get_json()
            assert job["status"] == "completed", (template.id, job["error"])
            assert sum(job["counts"].values()) == 100
            assert template.qubits.minimum <= job["qubits"] <= template.qubits.maximum
            assert {len(bits) for bits in job["counts"]} <= set(range(1, job["qubits"] + 1))
    with app.app_context():
        assert verify() == []


class TestGates:
    """What is refused before a credit is held for it, with the limit and what to change."""

    def test_each_gate_says_its_limit_and_the_jobs_value(
        self, app: Flask, client: FlaskClient, account: Account, key: Key
    ) -> None:
        def refused(**body: object) -> dict[str, object]:
            return read_error(post_bell(client, key, **body), 403, "gate_refused")

        backend = refused(backend="ionq-forte")
        assert (backend["gate"], backend["limit"], backend["value"]) == ("backend", "online", "disabled")
        assert "operator" in str(backend["message"])
        price = refused(maxCredits="0.0011")
        assert (price["gate"], price["limit"], price["value"]) == ("max_credits", "0.0011", BELL_CREDITS)
        assert price["target"] == "max_credits"
        with app.app_context():
            assert_nothing_happened(account)

    def test_a_job_may_cost_exactly_the_most_that_was_allowed(self, client: FlaskClient, key: Key) -> None:
        assert post_bell(client, key, maxCredits=BELL_CREDITS).status_code == 201


class TestCredits:
    """The account has what three jobs cost, and a little."""

    @pytest.fixture
    def account(self, app: Flask) -> Account:
        with app.app_context():
            return make_account(microcredits=3 * BELL_MICROCREDITS + BELL_MICROCREDITS - 1)

    def test_of_eight_jobs_at_once_three_pass(self, app: Flask, account: Account, key: Key) -> None:
        together = threading.Barrier(8)

        def submit(_: int) -> int:
            together.wait(timeout=10)
            return post_bell(app.test_client(), key).status_code

        with ThreadPoolExecutor(max_workers=8) as threads:
            statuses = sorted(threads.map(submit, range(8)))
        assert statuses == [201] * 3 + [402] * 5
        with app.app_context():
            assert count_jobs(account.organisation_id) == 3
            found = get_credits(account.organisation_id)
            assert (found.available, found.held) == (BELL_MICROCREDITS - 1, 0)
            assert found.spent == 3 * BELL_MICROCREDITS
            assert verify() == []

    def test_a_job_that_cannot_be_paid_says_what_is_missing_and_stores_nothing(
        self, app: Flask, client: FlaskClient, account: Account, key: Key
    ) -> None:
        error = read_error(post_bell(client, key, shots=100_000), 402, "insufficient_credits")
        assert (error["required"], error["available"]) == ("0.101001", "0.004403")
        assert error["limitSource"] == "balance"
        with app.app_context():
            assert_nothing_happened(account)

    def test_the_last_micro_credit_can_be_spent(self, app: Flask, client: FlaskClient) -> None:
        with app.app_context():
            key = make_key(make_account(microcredits=BELL_MICROCREDITS))
        assert [post_bell(client, key).status_code for _ in range(2)] == [201, 402]


class TestEngineFailure:
    """The engine fails in the middle of a run."""

    @pytest.fixture(autouse=True)
    def _broken(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        entries = catalogue._ENTRIES  # noqa: SLF001 - the catalogue is where an engine is registered
        entry = type(entries["qulacs"])(broken_engine.__name__, entries["qulacs"].capabilities)
        monkeypatch.setitem(entries, "qulacs", entry)
        get_engine.cache_clear()
        yield
        get_engine.cache_clear()
        broken_engine.FAILURES.clear()

    @pytest.mark.parametrize("failure", [RuntimeError("0x7f3a: corrupted"), MemoryError()])
    def test_a_crash_fails_the_job_and_costs_nothing(
        self, app: Flask, client: FlaskClient, account: Account, key: Key, failure: Exception
    ) -> None:
        broken_engine.FAILURES.append(failure)
        answer = post_bell(client, key)
        job = answer.get_json()
        assert (answer.status_code, job["status"], job["counts"]) == (201, "failed", None)
        assert job["error"]["code"] == "engine_failed"
        assert "corrupted" not in answer.text
        assert (job["cost"]["held"], job["cost"]["charged"]) == (BELL_CREDITS, "0")
        [listed] = client.get(f"{API}/jobs?status=failed", headers=key.headers).get_json()["jobs"]
        assert job == listed | {name: job[name] for name in job.keys() - listed.keys()}
        assert "counts" not in listed
        with app.app_context():
            found = get_credits(account.organisation_id)
            assert (found.available, found.held, found.spent) == (1_000_000, 0, 0)
            assert verify() == []

    @pytest.mark.parametrize(
        "failure", [CircuitTooLargeError("Too large.", required_bytes=2, limit_bytes=1), KeyboardInterrupt()]
    )
    def test_a_run_that_is_refused_or_stopped_leaves_nothing(
        self, app: Flask, client: FlaskClient, account: Account, key: Key, failure: BaseException
    ) -> None:
        broken_engine.FAILURES.append(failure)
        if isinstance(failure, Exception):
            read_error(post_bell(client, key), 403, "circuit_too_large")
        else:
            with pytest.raises(KeyboardInterrupt):
                post_bell(client, key)
            with app.app_context():
                # It might as well have come during the commit: SQL is asked.
                assert end_overdue_holds(at=now()) == 1
        with app.app_context():
            assert_nothing_happened(account)

    def test_a_job_that_failed_while_it_was_refused_leaves_nothing(self, app: Flask, client: FlaskClient) -> None:
        with app.app_context():
            account = make_account(microcredits=BELL_MICROCREDITS - 1)
            key = make_key(account)
        broken_engine.FAILURES.append(RuntimeError("0x7f3a: corrupted"))
        read_error(post_bell(client, key), 402, "insufficient_credits")
        with app.app_context():
            assert_nothing_happened(account)

    def test_one_circuit_that_crashes_fails_the_sweep_which_costs_nothing(
        self, app: Flask, client: FlaskClient, account: Account, key: Key
    ) -> None:
        broken_engine.FAILURES.append(RuntimeError("0x7f3a: corrupted"))
        job = post_bell(client, key, templateId="ghz-state", parameters={"qubits": [2, 3]}).get_json()
        assert (job["status"], job["error"]["code"], job["results"]) == ("failed", "engine_failed", None)
        assert job["cost"]["charged"] == "0"
        with app.app_context():
            found = get_credits(account.organisation_id)
            assert (found.available, found.held, found.spent) == (1_000_000, 0, 0)
            assert verify() == []


class TestLostCommit:
    """The database goes away, or a signal comes, while the finished job is being committed."""

    @pytest.fixture(params=[False, True], ids=["before", "after"])
    def is_committed(self, request: pytest.FixtureRequest) -> bool:
        return bool(request.param)

    @pytest.fixture(params=[sa.exc.OperationalError("COMMIT", {}, Exception("it is gone")), KeyboardInterrupt()])
    def failure(self, request: pytest.FixtureRequest) -> BaseException:
        return cast("BaseException", request.param)

    @pytest.fixture
    def _failing_commit(self, monkeypatch: pytest.MonkeyPatch, failure: BaseException, *, is_committed: bool) -> None:
        """Have the first commit of a job fail."""
        commit = DriverConnection.commit

        def lose(connection: DriverConnection) -> None:
            monkeypatch.undo()
            if is_committed:
                commit(connection)
            raise failure

        monkeypatch.setattr(DriverConnection, "commit", lose)

    @pytest.mark.usefixtures("_failing_commit")
    def test_the_hold_stays_until_sql_can_say_what_became_of_it(
        self,
        app: Flask,
        client: FlaskClient,
        account: Account,
        key: Key,
        failure: BaseException,
        *,
        is_committed: bool,
    ) -> None:
        if isinstance(failure, Exception):
            answer = post_bell(client, key)
            read_error(answer, 503, "store_unavailable")
            assert int(answer.headers["Retry-After"]) >= 1
        else:
            with pytest.raises(KeyboardInterrupt):
                post_bell(client, key)
        spent = BELL_MICROCREDITS if is_committed else 0
        with app.app_context():
            found = get_credits(account.organisation_id)
            assert (found.held, found.spent) == (BELL_MICROCREDITS - spent, spent)
            assert found.available == 1_000_000 - BELL_MICROCREDITS
            assert end_overdue_holds(at=now()) == 1
            found = get_credits(account.organisation_id)
            assert (found.available, found.held, found.spent) == (1_000_000 - spent, 0, spent)
            assert count_jobs(account.organisation_id) == int(is_committed)
            assert verify() == []
        assert post_bell(client, key).status_code == 201
