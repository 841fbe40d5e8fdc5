"""Whole numbers in bodies, however JSON writes them: what OpenAPI calls an integer may have a point or an exponent."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.api.helpers import Service, read_error
from tests.factories import API, Account, Key, make_key

WRONG = ["1000.5", "1e-1", "1e400", "1e300", "true", '"1000"', "null", "[1e3]"]
PROGRAM = '{"qubits": 2.0, "gateset": "qis", "circuit": [{"gate": "x", "target": 1e0}]}'


def send(client: FlaskClient, key: Key, path: str, body: str, method: str = "POST") -> TestResponse:
    return client.open(API + path, method=method, data=body, content_type="application/json", headers=key.headers)


def job_of(number: str, *, seed: str = "7") -> str:
    return f'{{"templateId": "bell-state", "shots": {number}, "seed": {seed}}}'


@pytest.mark.parametrize("number", ["1000", "1000.0", "1e3", "1E+3", "10000e-1", "1.0e3"])
def test_shots_and_seed_are_whole_numbers_however_they_are_written(client: FlaskClient, key: Key, number: str) -> None:
    job = send(client, key, "/jobs", job_of(number, seed=number)).get_json()
    assert (job["shots"], type(job["shots"]), job["seed"], type(job["seed"])) == (1000, int, 1000, int)
    assert sum(job["counts"].values()) == 1000


@pytest.mark.parametrize("number", WRONG)
def test_what_is_no_whole_number_is_refused(refusing: Service, number: str) -> None:
    [detail] = read_error(refusing.post(job_of(number).encode()), 422, "invalid_fields")["details"]
    assert (detail["path"], detail["allowed"]) == ("shots", "a whole number from 1 to 100000")
    assert detail["message"].startswith("It must be a whole number")


def test_the_largest_seed_is_itself_and_none_above_becomes_it(client: FlaskClient, key: Key) -> None:
    answer = send(client, key, "/jobs", job_of("10", seed="9007199254740991.0"))
    assert answer.get_json()["seed"] == 2**53 - 1
    for above in ("9007199254740992.0", "9007199254740993.0", "1e16"):
        read_error(send(client, key, "/jobs", job_of("10", seed=above)), 422, "invalid_fields")


def test_the_numbers_inside_of_what_runs_are_read_alike(client: FlaskClient, key: Key) -> None:
    template = '{"templateId": "ghz-state", "parameters": {"qubits": 3.0}, "shots": 10}'
    assert set(send(client, key, "/jobs", template).get_json()["counts"]) <= {"000", "111"}
    program = f'{{"circuit": {{"format": "ionq.circuit.v1", "source": {PROGRAM}}}, "shots": 10}}'
    assert send(client, key, "/jobs", program).get_json()["counts"] == {"10": 10}
    text = program.replace(PROGRAM, '"' + PROGRAM.replace('"', r"\"") + '"')
    assert send(client, key, "/jobs", text).get_json()["counts"] == {"10": 10}


def test_the_numbers_of_a_key_are_read_alike(app: Flask, client: FlaskClient, account: Account) -> None:
    with app.app_context():
        manager = make_key(account, scopes=("keys:read", "keys:write"))
    made = send(
        client,
        manager,
        "/keys",
        '{"name": "a", "scopes": ["keys:read"], "rateLimits": [{"calls": 1e1, "seconds": 60.0}]}',
    ).get_json()
    assert made["rateLimits"] == [{"calls": 10, "seconds": 60}]
    assert send(client, manager, f"/keys/{made['id']}/rotate", '{"graceSeconds": 6e1}').status_code == 201
    refused = send(client, manager, f"/keys/{made['id']}/rotate", '{"graceSeconds": 0.5}')
    assert read_error(refused, 422, "invalid_fields")["details"][0]["path"] == "graceSeconds"
