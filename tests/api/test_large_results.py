"""Results of the largest size: sent in pieces, to a few readers at one time, and never held as a whole."""

import hashlib
import json
import socket
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from http.client import IncompleteRead
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from config import Settings
from tests import stores
from tests.api.helpers import read_error
from tests.factories import API, Account, Key, log_in, make_account, make_key, now, queue_bell
from tests.live import call, wait_until, web_server
from webapp.core.errors import StoreAwayError
from webapp.jobs.program_texts import add_program
from webapp.jobs.pruning import prune_results
from webapp.jobs.queries import get_job
from webapp.jobs.readers import MAX_READERS, MAX_READERS_OF_ONE_ACCOUNT, readers, send_in_turn
from webapp.jobs.result_sizes import MAX_RESULT_BYTES
from webapp.jobs.results import PIECES_AT_A_TIME, SMALL_BYTES, read_result
from webapp.jobs.running import claim_job, complete_job
from webapp.quantum.engines import RunResult

BITS = 1_000
SHOTS = MAX_RESULT_BYTES // (BITS + 4) - 1
CIRCUIT = {"format": "openqasm3", "source": "qubit[2] q;"}


def make_large_job(app: Flask, key: Key, *, circuits: int = 1, **body: object) -> str:
    """Run a job whose result is as large as one may be."""
    batch = {"templateId": None, "circuits": [CIRCUIT] * circuits} if circuits > 1 else {}
    job_id = queue_bell(app.test_client(), key, **batch, **body)
    run_next(app, circuits=circuits)
    return job_id


def run_next(app: Flask, *, circuits: int = 1, shots: int = SHOTS) -> None:
    """End the job whose turn it is with a result as large as one may be."""
    memory = [f"{shot:0{BITS}b}" for shot in range(shots // circuits)]
    result = RunResult({"1": 1}, None, "odd", "1", 0.0, memory=memory)
    with app.app_context():
        assignment = claim_job(at=now())
        assert assignment is not None
        assert complete_job(assignment, [result] * circuits, at=now())


def test_a_large_result_is_whole(app: Flask, client: FlaskClient, key: Key) -> None:
    single = client.get(f"{API}/jobs/{make_large_job(app, key)}", headers=key.headers).get_json()
    assert (single["status"], single["results"], single["counts"]) == ("completed", None, {"1": 1})
    assert [int(bits, 2) for bits in single["memory"]] == list(range(SHOTS))
    batch = client.get(f"{API}/jobs/{make_large_job(app, key, circuits=3)}", headers=key.headers).get_json()
    assert batch["memory"] is None
    for result in batch["results"]:
        assert (result["engine"], result["engineVersion"], result["parameters"]) == ("qulacs", "1", {})
        assert [int(bits, 2) for bits in result["memory"]] == list(range(SHOTS // 3))


@pytest.mark.parametrize("circuits", [1, 3])
def test_it_is_told_beforehand_how_long_it_is(
    app: Flask, client: FlaskClient, account: Account, key: Key, circuits: int
) -> None:
    job_id = make_large_job(app, key, circuits=circuits, name="größer")
    log_in(client, account)
    for address in (f"{API}/jobs/{job_id}", f"/console/jobs/{job_id}/result.json"):
        answer = client.get(address, headers=key.headers)
        assert answer.content_length == len(answer.data) > MAX_RESULT_BYTES * 0.99
        head = client.head(address, headers=key.headers)
        assert (head.content_length, head.data) == (answer.content_length, b"")


@pytest.mark.parametrize("subject", [{}, {"templateId": None, "circuit": CIRCUIT}])
def test_one_that_was_deleted_before_it_is_begun_is_an_error_and_no_answer_cut_short(
    app: Flask, key: Key, subject: dict[str, object]
) -> None:
    job_id = queue_bell(app.test_client(), key, **subject)
    run_next(app, shots=SMALL_BYTES // BITS + 1)
    with app.app_context():
        job = get_job(organisation_id=key.row.organisation_id, job_id=job_id)
        result = read_result(job)
        assert not result.is_small
        assert prune_results(before=now() + timedelta(seconds=1)) == 1
        with pytest.raises(StoreAwayError, match="deleted while it was read"):
            send_in_turn(job.organisation_id, {"id": job.id}, add_program(job, result, is_whole=False))


def test_a_page_offers_it_as_a_file(app: Flask, client: FlaskClient, account: Account, key: Key) -> None:
    log_in(client, account)
    job_id = make_large_job(app, key)
    for page in (
        client.get(f"/console/jobs/{job_id}"),
        client.get("/console/playground", query_string={"job": job_id}),
    ):
        assert "The result has 25.2 MB, which is too much for a page." in page.text
        assert len(page.data) < SMALL_BYTES
    file = client.get(f"/console/jobs/{job_id}/result.json")
    assert file.headers["Content-Disposition"] == f'attachment; filename="{job_id}.json"'
    assert len(json.loads(file.data)["memory"]) == SHOTS


def test_a_list_and_a_small_result_need_no_place(app: Flask, client: FlaskClient, key: Key) -> None:
    large, small = (
        make_large_job(app, key),
        client.post(f"{API}/jobs", json={"templateId": "bell-state", "shots": 10}, headers=key.headers),
    )
    with ExitStack() as stack:
        for place in range(MAX_READERS):
            stack.enter_context(readers.place(f"account {place}"))
        error = read_error(client.get(f"{API}/jobs/{large}", headers=key.headers), 503, "results_busy")
        assert "Try again" in error["message"]
        assert client.get(small.headers["Location"], headers=key.headers).get_json() == small.get_json()
        listed = client.get(f"{API}/jobs", headers=key.headers)
        assert [len(listed.get_json()["jobs"]), len(listed.data) < SMALL_BYTES] == [2, True]
    assert client.get(f"{API}/jobs/{large}", headers=key.headers).status_code == 200


def test_a_job_that_was_waited_for_is_answered_though_its_result_has_no_place(
    app: Flask, client: FlaskClient, key: Key
) -> None:
    headers = key.headers | {"Prefer": "respond-async, wait=30", "Idempotency-Key": "order-1"}
    order = {"templateId": "bell-state", "shots": 10}
    with ExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor(max_workers=1))
        waiting = threads.submit(lambda: app.test_client().post(f"{API}/jobs", json=order, headers=headers))
        wait_until(lambda: bool(client.get(f"{API}/jobs", headers=key.headers).get_json()["jobs"]))
        for place in range(MAX_READERS):
            stack.enter_context(readers.place(f"account {place}"))
        run_next(app)
        answer = waiting.result()
    # It is charged by now: an error would have it sent again.
    assert (answer.status_code, answer.get_json()["status"], answer.get_json()["memory"]) == (202, "queued", None)
    found = client.get(answer.headers["Location"], headers=key.headers).get_json()
    assert (found["status"], len(found["memory"])) == ("completed", SHOTS)
    again = client.post(f"{API}/jobs", json=order, headers=headers)
    assert (again.status_code, again.get_json()) == (201, found)


def test_a_result_that_is_deleted_while_it_is_read_does_not_pass_for_a_shorter_one(app: Flask, key: Key) -> None:
    circuits = 2 * PIECES_AT_A_TIME
    job_id = queue_bell(app.test_client(), key, templateId=None, circuits=[CIRCUIT] * circuits)
    run_next(app, circuits=circuits, shots=circuits)
    with app.app_context():
        job = get_job(organisation_id=key.row.organisation_id, job_id=job_id)
        begun, unbegun = read_result(job).pieces, read_result(job).pieces
        assert next(begun)
        assert '"counts"' in next(begun) + next(begun)
        assert prune_results(before=now() + timedelta(seconds=1)) == 1
        for pieces in (begun, unbegun):
            with pytest.raises(StoreAwayError, match="deleted while it was read"):
                list(pieces)


def test_memory_that_would_not_be_kept_is_refused_beforehand(client: FlaskClient, key: Key) -> None:
    circuit = {"format": "openqasm3", "source": 'include "stdgates.inc"; qubit[300] q; h q[0];'}
    body = {"circuit": circuit, "shots": 100_000, "memory": True}
    for path in ("/jobs/estimate", "/jobs"):
        error = read_error(client.post(API + path, json=body, headers=key.headers), 422, "result_too_large")
        assert (error["requiredBytes"], error["limitBytes"]) == (100_000 * 304, MAX_RESULT_BYTES)
        assert "Ask for fewer shots, or leave out memory." in error["message"]
    assert client.post(f"{API}/jobs/estimate", json=body | {"memory": False}, headers=key.headers).status_code == 200


# One kind of database: it is a process that is tested here.
@pytest.mark.parametrize("database_url", stores.DATABASES[:1], indirect=True)
class TestWithARealServer:
    """What it takes of the web process: memory, and threads."""

    def test_readers_at_one_time_take_little_memory_and_leave_threads_to_others(
        self, settings: Settings, app: Flask, key: Key
    ) -> None:
        job_id = make_large_job(app, key)
        with app.app_context():
            other = make_key(make_account())
        with web_server(settings) as server, ThreadPoolExecutor(max_workers=MAX_READERS_OF_ONE_ACCOUNT) as threads:
            address = f"{server.api}/jobs/{job_id}"
            for path in ("/me", "/jobs"):
                assert call("GET", server.api + path, raw_key=key.raw).status == 200
            before = server.read_memory("VmRSS")
            for _ in range(3):
                assert len(set(threads.map(lambda _: digest(address, key), range(MAX_READERS_OF_ONE_ACCOUNT)))) == 1
            with ExitStack() as stack:
                # These ask, and read nothing but the status. They are more than the server has threads.
                statuses = [stack.enter_context(ask(address, key)).recv(12) for _ in range(20)]
                assert statuses == [b"HTTP/1.1 200"] * MAX_READERS_OF_ONE_ACCOUNT + [b"HTTP/1.1 503"] * 16
                assert call("GET", f"{server.api}/jobs", raw_key=other.raw).status == 200
                grown = server.read_memory("VmHWM") - before
            wait_until(lambda: call("GET", address, raw_key=key.raw).status == 200)
        assert grown < 64 * 1024 * 1024

    @pytest.mark.parametrize("circuits", [1, 3])
    def test_every_client_notices_that_a_result_was_cut(
        self, settings: Settings, app: Flask, key: Key, circuits: int
    ) -> None:
        job_id = make_large_job(app, key, circuits=circuits)
        with web_server(settings) as server:
            address = f"{server.api}/jobs/{job_id}"
            request = urllib.request.Request(address, headers=key.headers)  # noqa: S310 - loopback only
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - loopback only
                assert answer.read(100).startswith(b'{"id"')
                with app.app_context():
                    assert prune_results(before=now() + timedelta(seconds=1)) == 1
                with pytest.raises(IncompleteRead):
                    answer.read()
            again = call("GET", address, raw_key=key.raw)
            assert (again.status, again.body["results"]) == (200, None)
            assert again.body["resultDeletedAt"]


def digest(address: str, key: Key) -> str:
    """Read an address to its end."""
    request = urllib.request.Request(address, headers=key.headers)  # noqa: S310 - loopback only
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - loopback only
        return hashlib.file_digest(answer, "sha256").hexdigest()


def ask(address: str, key: Key) -> socket.socket:
    """Send a request and leave its answer where it is."""
    parts = urlsplit(address)
    connection = socket.create_connection((parts.hostname, parts.port), timeout=30)
    connection.sendall(f"GET {parts.path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key.raw}\r\n\r\n".encode())
    return connection
