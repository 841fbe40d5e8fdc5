"""Programs that are large, or become so: read one at a time, whatever else is sent meanwhile."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from config import Settings
from tests import stores
from tests.api.helpers import Service, read_error
from tests.factories import API, Key, log_in, make_account, make_key
from tests.live import call, web_server
from tests.stores import PostgresqlStore, SqliteStore
from webapp.core import large_work
from webapp.core.errors import MAX_DETAILS
from webapp.core.large_work import LARGE_BYTES, LargeWorkBusyError, turns
from webapp.jobs.readers import MAX_READERS, readers

SMALL = 'include "stdgates.inc"; qubit[2] q; h q[0]; cx q[0], q[1];'
LARGE: dict[str, dict[str, Any]] = {
    "by its text": {"circuit": {"format": "openqasm3", "source": f"{SMALL}//{'x' * LARGE_BYTES}"}},
    "by its gates": {
        "circuit": {
            "format": "openqasm3",
            "source": 'include "stdgates.inc"; qubit[999] q; h q; h q; h q; h q; h q; h q;',
        }
    },
    "by its measurements": {
        "circuit": {
            "format": "openqasm3",
            "source": "qubit[999] q; bit[999] c; for int i in [0:5] { c = measure q; }",
        }
    },
    "by its sweep": {
        "circuit": {"format": "openqasm3", "source": 'include "stdgates.inc"; input float t; qubit[99] q; rx(t) q;'},
        "parameters": {"t": [0.01] * 60},
    },
    "by its sweep of a template": {
        "templateId": "quantum-fourier-transform",
        "parameters": {"qubits": [12] * 99},
    },
    "by its gates of IonQ": {
        "circuit": {
            "format": "ionq.circuit.v1",
            "source": {"qubits": 1, "circuit": [{"gate": "x", "target": 0}] * 5_001},
        }
    },
}


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have another request at work on something large, and no place left to wait for it."""
    monkeypatch.setattr(large_work, "MAX_PLACES", 1)
    turns.take("another account")
    yield
    turns.give_back("another account")


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("path", ["/jobs", "/jobs/estimate"])
@pytest.mark.parametrize("name", LARGE)
def test_a_large_program_is_refused_while_others_are_read(refusing: Service, path: str, name: str) -> None:
    answer = refusing.client.post(API + path, json={"shots": 1} | LARGE[name], headers=refusing.key.headers)
    error = read_error(answer, 503, "programs_busy")
    assert answer.headers["Retry-After"] == "2"
    # It is about none of a job's circuits.
    assert error["message"] == LargeWorkBusyError().message
    assert error["target"] is None


@pytest.mark.usefixtures("busy")
def test_any_large_body_is_refused_while_others_are_read(refusing: Service) -> None:
    for path in ("/keys", "/keys/report-leak"):
        answer = refusing.client.post(API + path, json={"name": "x" * (LARGE_BYTES + 1)}, headers=refusing.key.headers)
        read_error(answer, 503, "programs_busy")


@pytest.mark.usefixtures("busy")
def test_a_small_program_passes_meanwhile(app: Flask, key: Key) -> None:
    body = {"circuit": {"format": "openqasm3", "source": SMALL}, "shots": 10}
    assert app.test_client().post(f"{API}/jobs", json=body, headers=key.headers).status_code == 201


def test_who_was_refused_may_send_the_same_again(app: Flask, key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    def send() -> TestResponse:
        headers = key.headers | {"Idempotency-Key": "again"}
        return app.test_client().post(f"{API}/jobs", json={"shots": 1} | LARGE["by its gates"], headers=headers)

    with monkeypatch.context() as patch:
        patch.setattr(large_work, "MAX_PLACES", 0)
        read_error(send(), 503, "programs_busy")
    answer = send()
    assert answer.status_code == 201
    assert "Idempotency-Replayed" not in answer.headers


def test_the_page_of_a_large_job_waits_for_nobody(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    with app.app_context():
        account = make_account()
        key = make_key(account)
    client = app.test_client()
    job = client.post(f"{API}/jobs", json={"shots": 1} | LARGE["by its gates"], headers=key.headers).get_json()
    log_in(client, account)
    monkeypatch.setattr(large_work, "MAX_PLACES", 0)
    page = client.get(f"/console/jobs/{job['id']}")
    assert page.status_code == 200
    assert "qubit[999] q; h q;" in page.text


def test_a_job_with_a_large_program_is_read_from_a_place_of_large_results(app: Flask, key: Key) -> None:
    client = app.test_client()
    circuit = {"format": "openqasm3", "source": f"{SMALL} // {'☃' * 100_000}"}
    headers = key.headers | {"Prefer": "respond-async", "Idempotency-Key": "large"}
    sent = client.post(f"{API}/jobs", json={"shots": 1, "circuit": circuit}, headers=headers)
    address = sent.headers["Location"]
    with ExitStack() as stack:
        for place in range(MAX_READERS):
            stack.enter_context(readers.place(f"account {place}"))
        read_error(client.get(address, headers=key.headers), 503, "results_busy")
        repeated = client.post(f"{API}/jobs", json={"shots": 1, "circuit": circuit}, headers=headers)
        cancelled = client.post(f"{address}/cancel", headers=key.headers)
    read = client.get(address, headers=key.headers)
    assert (sent.status_code, cancelled.status_code, read.status_code) == (202, 200, 200)
    for answer in (read, cancelled, sent):
        assert (answer.get_json()["circuit"], answer.get_json()["circuits"]) == (circuit, None)
    assert (repeated.status_code, repeated.get_json()) == (202, sent.get_json())


@pytest.mark.parametrize("path", ["", "circuit."])
def test_a_body_of_strange_names_is_refused_for_the_first_of_them(refusing: Service, path: str) -> None:
    strangers = {f"a{number}": 0 for number in range(10_000)}
    body: dict[str, object] = {"circuit": strangers} if path else dict(strangers)
    error = read_error(refusing.post_json(**body), 422, "invalid_fields")
    assert len(error["details"]) == MAX_DETAILS
    assert f"{path}a0" in {detail["path"] for detail in error["details"]}


class TestWithARealServer:
    """What large programs take of the web process's memory."""

    @pytest.fixture
    def database_url(self, databases: dict[str, SqliteStore | PostgresqlStore], tmp_path: Path) -> Iterator[str]:
        """One kind of database: it is a process that is tested here."""
        with databases[stores.DATABASES[0]].fresh(tmp_path) as url:
            yield url

    def test_large_programs_in_parallel_take_little_more_than_one(self, settings: Settings, app: Flask) -> None:
        with app.app_context():
            raw_keys = [make_key(make_account()).raw for _ in range(8)]
        # Each holds 30 MB of operations.
        gates = "U(t, t + 1, t - 1) a; " * 100
        source = f"gate g(t) a {{ {gates} }} qubit[999] q; g(0.1) q;"
        body = {"circuit": {"format": "openqasm3", "source": source}, "shots": 1}
        with web_server(settings) as server, ThreadPoolExecutor(max_workers=8) as threads:
            assert call(
                "POST", f"{server.api}/jobs", raw_key=raw_keys[0], body={"templateId": "bell-state", "shots": 1}
            )
            before = server.read_memory("VmRSS")

            def estimate(raw_key: str) -> int:
                return call("POST", f"{server.api}/jobs/estimate", raw_key=raw_key, body=body).status

            statuses = list(threads.map(estimate, raw_keys))
            grown = server.read_memory("VmHWM") - before
        assert set(statuses) <= {200, 503}
        assert 200 in statuses
        assert 503 in statuses
        assert grown < 64 * 1024 * 1024, json.dumps([statuses, grown])
