"""POST /jobs with several circuits: batches, and sweeps over lists of parameters, as one job."""

import math
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from config import Settings
from tests.api.helpers import Service, read_error
from tests.factories import API, Account, Key, make_key, now
from tests.live import job_worker
from webapp.api.job_schemas import parameter_errors
from webapp.core.errors import MAX_DETAILS
from webapp.jobs.pruning import prune_results
from webapp.jobs.tasks import MAX_CIRCUITS, derive_seed
from webapp.ledger.queries import list_transfers
from webapp.metering.credits import get_credits
from webapp.metering.reconcile import peek_account
from webapp.metering.verify import verify

TURN = 'OPENQASM 3.0; include "stdgates.inc"; input float theta; qubit q; bit c; ry(theta) q; c = measure q;'
TURNED = {"format": "openqasm3", "source": TURN}
BELL = {
    "format": "openqasm3",
    "source": 'OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; bit[2] c; h q[0]; cx q[0], q[1]; c = measure q;',
}
FLIP = {"format": "openqasm2", "source": 'OPENQASM 2.0; include "qelib1.inc"; qreg q[1]; x q[0];'}
WIDE_GHZ = {
    "format": "openqasm3",
    "source": 'OPENQASM 3.0; include "stdgates.inc"; qubit[60] q; h q[0]; for int i in [0:58] { cx q[i], q[i + 1]; }',
}
LONG_LOOP = {"format": "openqasm3", "source": "qubit q; for int i in [1:100000] { int x = i; }"}
MANY_GATES = {"format": "openqasm3", "source": 'include "stdgates.inc"; qubit q; for int i in [1:80000] { x q; }'}


def post(client: FlaskClient, key: Key, path: str = "/jobs", /, **body: Any) -> TestResponse:  # noqa: ANN401 - any field
    prefer = {"Prefer": body.pop("prefer")} if "prefer" in body else {}
    return client.post(API + path, json={"shots": 1000, "seed": 7} | body, headers=key.headers | prefer)


def test_a_batch_gives_the_results_of_its_circuits_in_order(client: FlaskClient, key: Key) -> None:
    answer = post(client, key, circuits=[BELL, FLIP, BELL], observables=["Z"])
    job = answer.get_json()
    assert (answer.status_code, job["status"], job["lane"], job["circuitCount"]) == (201, "completed", "inline", 3)
    assert [set(result["counts"]) for result in job["results"]] == [{"00", "11"}, {"1"}, {"00", "11"}]
    assert [result["expectationValues"][0]["value"] for result in job["results"]] == pytest.approx([0, -1, 0])
    assert (job["circuits"], job["circuit"], job["qubits"]) == ([BELL, FLIP, BELL], None, 2)
    assert {job[name] for name in ("counts", "probabilities", "memory", "statevector")} == {None}
    assert job["expectationValues"] is None
    assert client.get(answer.headers["Location"], headers=key.headers).get_json() == job
    [listed] = client.get(f"{API}/jobs", headers=key.headers).get_json()["jobs"]
    assert listed["circuitCount"] == 3
    assert not {"results", "circuits"} & set(listed)


def test_a_sweep_runs_its_circuit_once_for_each_place_in_the_lists(client: FlaskClient, key: Key) -> None:
    angles = [0, math.pi / 2, math.pi]
    job = post(client, key, circuit=TURNED, parameters={"theta": angles}).get_json()
    assert [result["probabilities"].get("1", 0) for result in job["results"]] == pytest.approx([0, 0.5, 1])
    assert [result["parameters"] for result in job["results"]] == [{"theta": angle} for angle in angles]
    assert job["parameters"] == {"theta": angles}


def test_scalars_are_the_same_in_each_circuit_of_a_sweep(client: FlaskClient, key: Key) -> None:
    source = TURN.replace("input float theta", "input float theta; input float more").replace(
        "ry(theta)", "ry(theta+more)"
    )
    circuit, parameters = {"format": "openqasm3", "source": source}, {"theta": [0, math.pi], "more": math.pi}
    job = post(client, key, circuit=circuit, parameters=parameters).get_json()
    assert [list(result["counts"]) for result in job["results"]] == [["1"], ["0"]]
    assert [result["parameters"]["more"] for result in job["results"]] == [math.pi, math.pi]


def test_a_template_is_swept_too_over_numbers_and_over_words(client: FlaskClient, key: Key) -> None:
    words = post(client, key, templateId="bernstein-vazirani", parameters={"secret": ["101", "110"]}).get_json()
    assert [list(result["counts"]) for result in words["results"]] == [["101"], ["110"]]
    widths = post(client, key, templateId="ghz-state", parameters={"qubits": [2, 3]}).get_json()
    assert [set(result["counts"]) for result in widths["results"]] == [{"00", "11"}, {"000", "111"}]
    assert widths["qubits"] == 3


def test_the_same_seed_gives_the_same_results_and_each_circuit_can_be_run_alone(client: FlaskClient, key: Key) -> None:
    first, again, other = (post(client, key, circuits=[BELL, BELL], seed=seed).get_json() for seed in (7, 7, 8))
    assert first["results"] == again["results"]
    assert first["results"] != other["results"]
    # Circuits of one job are independent: two of the same differ.
    assert first["results"][0]["counts"] != first["results"][1]["counts"]
    assert [result["seed"] for result in first["results"]] == [derive_seed(7, 0), derive_seed(7, 1)]
    alone = post(client, key, circuit=BELL, seed=first["results"][1]["seed"]).get_json()
    assert alone["counts"] == first["results"][1]["counts"]


def test_a_batch_costs_what_its_circuits_cost_alone_with_one_hold_and_one_charge(
    app: Flask, client: FlaskClient, account: Account, key: Key
) -> None:
    costs = [float(post(client, key, circuit=circuit).get_json()["cost"]["charged"]) for circuit in (BELL, FLIP)]
    estimate = post(client, key, "/jobs/estimate", circuits=[BELL, FLIP]).get_json()
    job = post(client, key, circuits=[BELL, FLIP]).get_json()
    assert float(job["cost"]["charged"]) == pytest.approx(sum(costs))
    assert (estimate["price"]["total"], estimate["circuitCount"]) == (job["cost"]["held"], 2)
    assert (estimate["operations"], estimate["qubits"], estimate["shots"]) == (3, 2, 1000)
    with app.app_context():
        charges = [row for row in list_transfers(account.organisation_id, limit=9).rows if job["id"] in row.reference]
        assert len(charges) == 1
        assert get_credits(account.organisation_id).held == 0
        assert verify() == []


def test_the_gates_judge_all_circuits_together(app: Flask, client: FlaskClient, account: Account, key: Key) -> None:
    alone = post(client, key, "/jobs/estimate", circuit=BELL).get_json()["price"]["total"]
    assert post(client, key, circuit=BELL, maxCredits=alone).status_code == 201
    error = read_error(post(client, key, circuits=[BELL, BELL], maxCredits=alone), 403, "gate_refused")
    assert error["gate"] == "max_credits"
    with app.app_context():
        test_key = make_key(account, mode="test")
    assert post(client, test_key, circuits=[FLIP]).status_code == 201
    # Twice a thousand shots are more than a test key's thousand.
    assert read_error(post(client, test_key, circuits=[FLIP, FLIP]), 403, "gate_refused")["gate"] == "size"


def test_each_circuit_runs_on_the_engine_that_suits_it_and_a_worker_gives_what_the_web_process_gives(
    settings: Settings, client: FlaskClient, key: Key
) -> None:
    small = {"circuits": [BELL, FLIP], "memory": True, "statevector": True, "observables": ["Z"], "shots": 50}
    inline = post(client, key, **small).get_json()
    with job_worker(settings, module="worker"):
        on_worker = post(client, key, **small, prefer="respond-async, wait=30").get_json()
        mixed = post(client, key, circuits=[BELL, WIDE_GHZ], prefer="respond-async, wait=30").get_json()
    assert (inline["lane"], on_worker["lane"], mixed["lane"]) == ("inline", "worker", "worker")
    assert inline["results"] == on_worker["results"]
    assert [result["engine"] for result in mixed["results"]] == ["qulacs", "stim"]
    assert (mixed["engine"], mixed["engineVersion"]) == ("qulacs, stim", None)
    assert mixed["engineReason"] == "Each circuit runs where it is quickest: 1 on qulacs, 1 on stim."
    assert set(mixed["results"][1]["counts"]) == {"0" * 60, "1" * 60}


def test_a_queued_batch_has_no_results_yet_and_can_be_cancelled(
    app: Flask, client: FlaskClient, account: Account, key: Key
) -> None:
    job = post(client, key, circuits=[BELL, BELL], prefer="respond-async").get_json()
    assert (job["status"], job["results"], job["circuitCount"]) == ("queued", None, 2)
    cancelled = client.post(f"{API}/jobs/{job['id']}/cancel", headers=key.headers).get_json()
    assert (cancelled["status"], cancelled["cost"]["charged"]) == ("cancelled", "0")
    with app.app_context():
        assert peek_account(account.shard_tag).holds == {}


def test_a_repeat_is_given_the_first_answer_and_another_batch_is_a_conflict(client: FlaskClient, key: Key) -> None:
    headers = key.headers | {"Idempotency-Key": "a-batch"}
    body = {"circuits": [BELL, FLIP], "shots": 100}
    first, again = (client.post(f"{API}/jobs", json=body, headers=headers) for _ in range(2))
    assert first.get_json() == again.get_json()
    assert again.headers["Idempotency-Replayed"] == "true"
    other = client.post(f"{API}/jobs", json=body | {"circuits": [FLIP, BELL]}, headers=headers)
    read_error(other, 409, "idempotency_conflict")


def test_results_of_a_batch_are_deleted_with_all_others(app: Flask, client: FlaskClient, key: Key) -> None:
    job = post(client, key, circuits=[BELL, FLIP]).get_json()
    with app.app_context():
        assert prune_results(before=now()) == 1
    kept = client.get(f"{API}/jobs/{job['id']}", headers=key.headers).get_json()
    assert (kept["results"], kept["circuits"]) == (None, [BELL, FLIP])
    assert kept["resultDeletedAt"] is not None


def test_an_error_names_the_circuit_that_it_is_about(client: FlaskClient, key: Key) -> None:
    wrong = {"format": "openqasm3", "source": "qubit q;\nhh q;"}
    error = read_error(post(client, key, circuits=[BELL, wrong]), 422, "invalid_program")
    assert (error["target"], error["line"], error["column"]) == ("circuits[1].source", 2, 1)
    assert error["message"].startswith("circuits[1]: Line 2, column 1: ")
    backend = {"backend": "qulacs"}
    error = read_error(post(client, key, circuits=[BELL, WIDE_GHZ], **backend), 403, "gate_refused")
    assert error["gate"] == "size"
    error = read_error(post(client, key, circuits=[BELL, FLIP], observables=["ZZ"]), 422, "invalid_fields")
    assert error["message"].startswith("circuits[1]: ")
    error = read_error(post(client, key, circuit=TURNED, parameters={"other": [1, 2]}), 422, "invalid_fields")
    assert error["message"].startswith("At place [0] of the lists in parameters: ")


@pytest.mark.parametrize("circuits", [[LONG_LOOP] * 3, [MANY_GATES] * 3], ids=["steps", "operations"])
def test_many_programs_may_take_no_more_than_one(client: FlaskClient, key: Key, circuits: list[object]) -> None:
    assert post(client, key, "/jobs/estimate", circuits=circuits[:1]).status_code == 200
    error = read_error(post(client, key, circuits=circuits), 422, "program_too_large")
    assert error["target"] in {"circuits[1].source", "circuits[2].source"}


def test_a_sweep_counts_its_program_for_each_of_its_points(client: FlaskClient, key: Key) -> None:
    circuit = TURNED | {"source": TURN + " " * 400_000}
    assert post(client, key, circuit=circuit, parameters={"theta": [1, 2]}).status_code == 201
    error = read_error(post(client, key, circuit=circuit, parameters={"theta": [1, 2, 3]}), 422, "program_too_large")
    assert error["message"].startswith("At place [2] of the lists in parameters: ")


def test_results_that_would_be_too_large_are_refused_beforehand(client: FlaskClient, key: Key) -> None:
    body = {"circuits": [WIDE_GHZ] * 20, "shots": 20_000, "memory": True}
    error = read_error(post(client, key, **body), 422, "result_too_large")
    assert error["requiredBytes"] > error["limitBytes"]
    assert read_error(post(client, key, "/jobs/estimate", **body), 422, "result_too_large")


def test_a_batch_with_much_to_say_waits_for_a_worker(client: FlaskClient, key: Key) -> None:
    lanes = [
        post(client, key, "/jobs/estimate", circuits=[BELL] * count, shots=2000).get_json()["lane"]
        for count in (50, 51)
    ]
    assert lanes == ["inline", "worker"]


@pytest.mark.parametrize(
    ("fields", "paths"),
    [
        ({"circuits": []}, {"circuits"}),
        ({"circuits": [BELL] * (MAX_CIRCUITS + 1)}, {"circuits"}),
        ({"circuits": BELL}, {"circuits"}),
        ({"circuits": [BELL, {"format": "qir", "source": ""}]}, {"circuits[1].format"}),
        ({"circuits": [BELL], "circuit": BELL}, {"circuits"}),
        ({"circuits": [BELL], "templateId": "bell-state", "circuit": BELL}, {"circuit", "circuits"}),
        ({"circuits": [BELL], "parameters": {"theta": 1}}, {"parameters"}),
        ({"circuit": TURNED, "parameters": {"theta": []}}, {"parameters.theta"}),
        ({"circuit": TURNED, "parameters": {"theta": [0] * (MAX_CIRCUITS + 1)}}, {"parameters.theta"}),
        ({"circuit": TURNED, "parameters": {"theta": [0, "1", True]}}, {"parameters.theta[1]", "parameters.theta[2]"}),
        ({"circuit": TURNED, "parameters": {"theta": [[0]]}}, {"parameters.theta[0]"}),
        ({"circuit": TURNED, "parameters": {"a": [1, 2], "b": [1], "c": [1, 2, 3]}}, {"parameters.b", "parameters.c"}),
        (
            {"templateId": "ghz-state", "parameters": {"qubits": [2, 0, "3"]}},
            {"parameters.qubits[1]", "parameters.qubits[2]"},
        ),
        ({"templateId": "ghz-state", "parameters": {"qubits": [2], "more": 1}}, {"parameters.more"}),
    ],
)
def test_a_wrong_field_is_named(refusing: Service, fields: dict[str, object], paths: set[str]) -> None:
    answer = refusing.client.post(f"{API}/jobs", json={"shots": 10} | fields, headers=refusing.key.headers)
    assert {detail["path"] for detail in read_error(answer, 422, "invalid_fields")["details"]} == paths


def test_a_body_full_of_wrong_lists_has_no_more_errors_made_than_are_shown(refusing: Service) -> None:
    """Of a mebibyte of them there were half a million, which took 4 s and 100 MB."""
    wrong = {"templateId": "ghz-state", "parameters": {f"no{number}": [1] * 100 for number in range(20)}}
    assert len(parameter_errors(wrong)) == MAX_DETAILS + 1
    error = read_error(refusing.post_json(**wrong), 422, "invalid_fields")
    assert error["message"].startswith("More than 100 fields are wrong")
    assert len(error["details"]) == MAX_DETAILS


def test_settings_that_would_not_fit_on_a_page_of_jobs_are_refused(refusing: Service) -> None:
    """A hundred jobs with a mebibyte each had the web process grow by 470 MB when they were listed."""
    sums = [{f"{term:0100b}".replace("0", "X").replace("1", "Z"): 0.5 for term in range(256)}] * 20
    points = {f"a{number}": [0.1234567890123] * 100 for number in range(400)}
    source = "".join(f"input float a{number}; " for number in range(400)) + "qubit[100] q; x q;"
    body: dict[str, object] = {"circuit": {"format": "openqasm3", "source": source}, "shots": 1}
    settings: dict[str, object] = {"observables": sums, "parameters": points}
    for path, value in settings.items():
        for where in ("/jobs", "/jobs/estimate"):
            answer = refusing.client.post(API + where, json=body | {path: value}, headers=refusing.key.headers)
            [detail] = read_error(answer, 422, "invalid_fields")["details"]
            assert (detail["path"], detail["allowed"]) == (path, "at most 524288 bytes together")


def test_lists_of_different_lengths_are_told_both_lengths(refusing: Service) -> None:
    body = {"templateId": "ghz-state", "shots": 10, "parameters": {"qubits": [2, 3, 4], "more": [1, 2]}}
    answer = refusing.client.post(f"{API}/jobs", json=body, headers=refusing.key.headers)
    [detail] = read_error(answer, 422, "invalid_fields")["details"]
    assert detail == {
        "path": "parameters.more",
        "message": "The list has 2 values and that of qubits has 3: a sweep takes one of each.",
        "allowed": "3 values",
    }
