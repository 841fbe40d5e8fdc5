"""POST /jobs with programs in place of templates, and with more to ask for than counts."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from config import Settings
from tests.api.helpers import Service, read_error
from tests.factories import API, Key
from tests.live import job_worker
from webapp.core import text

BELL_2 = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; creg c[2]; h q[0]; cx q[0],q[1]; measure q -> c;'
BELL_3 = 'OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; bit[2] c; h q[0]; cx q[0], q[1]; c = measure q;'
BELL_IONQ = {
    "qubits": 2,
    "gateset": "qis",
    "circuit": [{"gate": "h", "target": 0}, {"gate": "cnot", "control": 0, "target": 1}],
}
TURN = 'OPENQASM 3.0; include "stdgates.inc"; input float theta; qubit q; bit c; ry(theta) q; c = measure q;'
BELL = {"format": "openqasm3", "source": BELL_3}


def post(client: FlaskClient, key: Key, path: str = "/jobs", /, **body: Any) -> TestResponse:  # noqa: ANN401 - any field
    return client.post(API + path, json={"shots": 1000, "seed": 7} | body, headers=key.headers)


@pytest.mark.parametrize(
    ("form", "source"), [("openqasm2", BELL_2), ("openqasm3", BELL_3), ("ionq.circuit.v1", BELL_IONQ)]
)
def test_a_program_runs_as_the_same_template_does(client: FlaskClient, key: Key, form: str, source: object) -> None:
    circuit = {"format": form, "source": source}
    answer = post(client, key, circuit=circuit)
    job = answer.get_json()
    template = post(client, key, templateId="bell-state").get_json()
    assert (answer.status_code, job["status"], job["counts"]) == (201, "completed", template["counts"])
    assert (job["templateId"], job["circuit"]) == (None, circuit)
    assert client.get(answer.headers["Location"], headers=key.headers).get_json() == job
    [_, listed] = client.get(f"{API}/jobs", headers=key.headers).get_json()["jobs"]
    assert "circuit" not in listed


def test_inputs_are_parameters(client: FlaskClient, key: Key) -> None:
    circuit = {"format": "openqasm3", "source": TURN}
    job = post(client, key, circuit=circuit, parameters={"theta": 3.141592653589793}).get_json()
    assert job["counts"] == {"1": 1000}
    for parameters, path in (({}, None), ({"theta": "1"}, "parameters.theta"), ({"theta": True}, "parameters.theta")):
        answer = post(client, key, circuit=circuit, parameters=parameters)
        assert answer.status_code == 422
        if path:
            assert answer.get_json()["error"]["details"][0]["path"] == path


def test_expectation_values_memory_and_statevector_come_on_request(client: FlaskClient, key: Key) -> None:
    asked = {"observables": ["ZZ", {"XX": 0.5, "ZI": 1}], "memory": True, "statevector": True}
    job = post(client, key, circuit=BELL, **asked).get_json()
    assert [mean["value"] for mean in job["expectationValues"]] == pytest.approx([1, 0.5])
    assert job["expectationValues"][0] == {"observable": "ZZ", "value": pytest.approx(1), "standardError": 0}
    assert sorted(set(job["memory"])) == ["00", "11"]
    assert len(job["memory"]) == 1000
    assert [amplitude[0] for amplitude in job["statevector"]] == pytest.approx([0.5**0.5, 0, 0, 0.5**0.5])
    assert job["options"] == asked
    plain = post(client, key, circuit=BELL).get_json()
    assert (plain["expectationValues"], plain["memory"], plain["statevector"], plain["options"]) == (
        None,
        None,
        None,
        {},
    )


def test_a_worker_gives_the_same_as_the_web_process(settings: Settings, client: FlaskClient, key: Key) -> None:
    body = {"circuit": BELL, "observables": ["ZZ"], "memory": True, "statevector": True, "shots": 100, "seed": 3}
    inline = post(client, key, **body).get_json()
    with job_worker(settings, module="worker"):
        prefer = key.headers | {"Prefer": "respond-async, wait=30"}
        on_worker = client.post(f"{API}/jobs", json=body, headers=prefer).get_json()
    assert (inline["lane"], on_worker["lane"]) == ("inline", "worker")
    for name in ("counts", "probabilities", "expectationValues", "memory", "statevector"):
        assert on_worker[name] == inline[name]


def test_a_mistake_in_a_program_has_its_line_and_column(client: FlaskClient, key: Key) -> None:
    source = 'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit q;\nhh q;\n'
    error = read_error(post(client, key, circuit={"format": "openqasm3", "source": source}), 422, "invalid_program")
    assert (error["line"], error["column"]) == (4, 1)
    assert read_error(
        post(client, key, "/jobs/estimate", circuit={"format": "openqasm3", "source": source}), 422, "invalid_program"
    )


def test_an_observable_longer_than_the_circuit_is_refused_before_anything_is_held(
    client: FlaskClient, key: Key
) -> None:
    error = read_error(post(client, key, circuit=BELL, observables=["ZZZ"]), 422, "invalid_fields")
    assert error["details"][0]["path"] == "observables[0]"


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({}, "templateId"),
        ({"templateId": "bell-state", "circuit": BELL}, "circuit"),
        ({"circuit": "OPENQASM 3.0;"}, "circuit"),
        ({"circuit": {"format": "openqasm3"}}, "circuit.source"),
        ({"circuit": {"format": "qir", "source": ""}}, "circuit.format"),
        ({"circuit": {"format": "openqasm3", "source": 7}}, "circuit.source"),
        ({"circuit": BELL | {"more": 1}}, "circuit.more"),
        ({"circuit": BELL, "noise": 7}, "noise"),
        ({"circuit": BELL, "noise": "perfect"}, "noise"),
        ({"circuit": BELL, "noise": {"depolarizing": 2}}, "noise.depolarizing"),
        ({"circuit": BELL, "observables": "ZZ"}, "observables"),
        ({"circuit": BELL, "observables": [7]}, "observables[0]"),
        ({"circuit": BELL, "observables": ["AB"]}, "observables[0]"),
        ({"circuit": BELL, "observables": ["Z"] * 65}, "observables"),
        ({"circuit": BELL, "memory": 1}, "memory"),
        ({"circuit": BELL, "statevector": "yes"}, "statevector"),
    ],
)
def test_a_wrong_field_is_named(refusing: Service, fields: dict[str, object], path: str) -> None:
    answer = refusing.client.post(f"{API}/jobs", json={"shots": 10} | fields, headers=refusing.key.headers)
    paths = [detail["path"] for detail in read_error(answer, 422, "invalid_fields")["details"]]
    assert set(paths) == {path}


def test_a_named_simulators_refusal_tells_the_memory_that_it_needs(client: FlaskClient, key: Key) -> None:
    source = "qubit[28] q; h q; t q; for int i in [0:26] { cx q[i], q[i + 1]; ry(0.3) q[i]; }"
    circuit = {"format": "openqasm3", "source": source}
    error = read_error(post(client, key, circuit=circuit, backend="qsim"), 403, "gate_refused")
    assert (error["gate"], error["limit"], error["value"]) == ("size", "1 GiB", "2 GiB")
    assert "28 qubits need 2 GiB of memory" in error["message"]


def test_an_estimate_tells_the_memory_of_the_run_rather_than_of_a_state_vector(client: FlaskClient, key: Key) -> None:
    source = "qubit[1000] q; h q[0]; for int i in [0:998] { cx q[i], q[i + 1]; }"
    answer = post(client, key, "/jobs/estimate", circuit={"format": "openqasm3", "source": source})
    assert answer.get_json()["memoryBytes"] < 2**24


def test_mistyped_names_inside_of_fields_are_answered_with_those_that_were_meant(client: FlaskClient, key: Key) -> None:
    wrong = {"noise": {"depolarising": 0.1}, "templateId": "ghz-state", "parameters": {"qbits": [2, 3]}}
    details = read_error(post(client, key, **wrong), 422, "invalid_fields")["details"]
    assert {detail["path"]: detail["message"] for detail in details} == {
        "noise.depolarising": "There is no such kind of noise; did you mean depolarizing?",
        "parameters.qbits[0]": "There is no such parameter; did you mean qubits?",
        "parameters.qbits[1]": "There is no such parameter; did you mean qubits?",
    }


@pytest.mark.parametrize("field", ["noise", "parameters"])
def test_only_as_many_names_are_compared_as_are_shown(
    client: FlaskClient, key: Key, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[str] = []
    monkeypatch.setattr(text, "find_meant", lambda name, _known: compared.append(name))
    names = {f"depolarising{number}": 0.1 for number in range(5_000)}
    error = read_error(post(client, key, templateId="ghz-state", **{field: names}), 422, "invalid_fields")
    assert len(compared) == len(error["details"]) == 100
