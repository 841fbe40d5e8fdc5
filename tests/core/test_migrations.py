"""Migrations keep the rows that are there."""

import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from tests.factories import digest_of, make_account, make_key, post_bell, queue_bell
from webapp.core.db import db


def read(statement: str) -> list[tuple[object, ...]]:
    with db.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(statement))]


def test_keys_keep_their_tokens_there_and_back(app: Flask) -> None:
    with app.app_context():
        key = make_key(make_account())
        db.session.remove()
    run = app.test_cli_runner().invoke
    assert run(args=["db", "downgrade", "0005-1"]).exit_code == 0
    with app.app_context():
        assert read("SELECT id, digest FROM api_keys") == [(key.row.id, digest_of(key))]
    assert run(args=["db", "upgrade"]).exit_code == 0
    with app.app_context():
        assert read("SELECT digest, key_id, prefix FROM key_tokens") == [(digest_of(key), key.row.id, key.row.prefix)]
        assert read("SELECT mode, scopes FROM api_keys") == [("live", key.row.scopes)]


def test_jobs_stay_as_they_are_and_what_keeps_them_right_does_too(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        key = make_key(make_account())
        db.session.remove()
    ids = [post_bell(client, key).get_json()["id"], queue_bell(client, key)]
    jobs = "SELECT id, key_id, status, charged_microcredits FROM jobs ORDER BY id"
    with app.app_context():
        before = read(jobs)
    assert [row[0] for row in before] == ids
    run = app.test_cli_runner().invoke
    for arguments in (["db", "downgrade", "0006"], ["db", "upgrade"]):
        answer = run(args=arguments)
        assert answer.exit_code == 0, answer.output
        with app.app_context():
            assert read(jobs) == before
            assert read("SELECT hold_id, key_id FROM open_holds") == [(ids[1], key.row.id)]
            found = sa.inspect(db.engine)
            assert [check["name"] for check in found.get_check_constraints("jobs")] == ["ck_jobs_charged_within_held"]
            assert "ix_jobs_open" in {index["name"] for index in found.get_indexes("jobs")}


def test_results_of_jobs_are_the_same_there_and_back(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        key = make_key(make_account())
        db.session.remove()
    circuit = {"format": "openqasm3", "source": "qubit[2] q;"}
    asked = {"observables": ["ZZ"], "memory": True}
    answers = [
        post_bell(client, key, **asked),
        post_bell(client, key, templateId=None, circuits=[circuit, circuit], statevector=True),
    ]
    queued = queue_bell(client, key)
    headers = key.headers | {"Idempotency-Key": "order-1"}
    order = {"templateId": "bell-state", "shots": 5}
    first = client.post("/api/quantum/v1/jobs", json=order, headers=headers).get_json()
    run = app.test_cli_runner().invoke
    for arguments in (["db", "downgrade", "0010-1"], ["db", "upgrade"]):
        found = run(args=arguments)
        assert found.exit_code == 0, found.output
    for answer in answers:
        assert client.get(answer.headers["Location"], headers=key.headers).get_json() == answer.get_json()
    assert client.get(f"/api/quantum/v1/jobs/{queued}", headers=key.headers).get_json()["counts"] is None
    assert client.post("/api/quantum/v1/jobs", json=order, headers=headers).get_json() == first
