"""Test keys: tiny circuits, free of charge."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.api.helpers import read_error
from tests.factories import API, Account, body, make_account, make_key, post_bell
from webapp.metering.credits import get_credits
from webapp.metering.reconcile import peek_account
from webapp.metering.verify import verify


@pytest.fixture
def environ() -> dict[str, str]:
    return {"CALL_PRICE_CREDITS": "1"}


@pytest.fixture
def account(app: Flask) -> Account:
    with app.app_context():
        return make_account(microcredits=0)


def test_a_test_key_runs_a_tiny_circuit_and_calls_without_a_credit(
    app: Flask, client: FlaskClient, account: Account
) -> None:
    with app.app_context():
        test, live = make_key(account, mode="test"), make_key(account)
    assert body(client.get(f"{API}/me", headers=test.headers))["mode"] == "test"
    for _ in range(2):
        job = body(post_bell(client, test))
        assert (job["status"], sum(job["counts"].values())) == ("completed", 100)
        assert {job["cost"][part] for part in ("estimated", "held", "charged")} == {"0"}
    assert client.get(f"{API}/me", headers=live.headers).status_code == 402
    with app.app_context():
        assert get_credits(account.organisation_id).spent == 0
        assert peek_account(account.shard_tag).holds == {}
        assert verify() == []


def test_anything_larger_is_refused_with_what_it_may_be(app: Flask, client: FlaskClient, account: Account) -> None:
    with app.app_context():
        key = make_key(account, mode="test")
    error = read_error(post_bell(client, key, shots=1001), 403, "gate_refused")
    assert (error["gate"], error["limit"]) == ("size", "5 qubits, 100 gates and 1000 shots, for one core-second")
    read_error(post_bell(client, key, templateId="ghz-state", parameters={"qubits": 6}, shots=1), 403, "gate_refused")


def test_tiny_circuits_that_take_long_are_not_free(app: Flask, client: FlaskClient, account: Account) -> None:
    with app.app_context():
        key = make_key(account, mode="test")
    flips = "".join(f"t q[0]; h q[0]; c[{index}] = measure q[0];" for index in range(40))
    circuit = {"format": "openqasm3", "source": f'include "stdgates.inc"; qubit q0; qubit[1] q; bit[40] c; {flips}'}
    terms = [{pauli * 2: 1.0 for pauli in "XYZ"}] * 64
    answer = post_bell(client, key, templateId=None, circuit=circuit, shots=1000, observables=terms)
    assert read_error(answer, 403, "gate_refused")["gate"] == "size"
