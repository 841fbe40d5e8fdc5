"""What an inline job asks of the stores: it answers while somebody waits, and each question is a part of that time."""

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from tests.factories import make_account, make_key, post_bell
from webapp.core.driver import DriverConnection, Parameters
from webapp.core.redis_wire import Argument, Wire
from webapp.jobs import operations


def test_an_inline_job_takes_four_statements_one_commit_and_two_waits_for_redis(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        key = make_key(make_account())
    # The first call of a key and of a connection takes more.
    assert post_bell(client, key).status_code == 201
    asked: list[str] = []
    ask, tell, read, run = Wire.send, Wire.tell, Wire.read, operations.run_inline
    execute, commit = DriverConnection.exec_driver_sql, DriverConnection.commit

    def note_question(self: Wire, command: tuple[Argument, ...]) -> None:
        asked.append("ask Redis")
        ask(self, command)

    def note_telling(self: Wire, command: tuple[Argument, ...]) -> None:
        tell(self, command)
        asked[-1] = "tell Redis"

    def note_wait(self: Wire) -> object:
        asked.append("wait")
        return read(self)

    def note_run(*arguments: object) -> object:
        asked.append("run")
        return run(*arguments)  # type: ignore[arg-type]

    def note_statement(self: DriverConnection, statement: str, parameters: Parameters) -> None:
        asked.append(" ".join(statement.split()[:3]))
        execute(self, statement, parameters)

    def note_commit(self: DriverConnection) -> None:
        asked.append("COMMIT")
        commit(self)

    def refuse_connection(*_: object) -> None:
        raise AssertionError("nothing else is asked of the database")

    monkeypatch.setattr(Wire, "send", note_question)
    monkeypatch.setattr(Wire, "tell", note_telling)
    monkeypatch.setattr(Wire, "read", note_wait)
    monkeypatch.setattr(operations, "run_inline", note_run)
    monkeypatch.setattr(DriverConnection, "exec_driver_sql", note_statement)
    monkeypatch.setattr(DriverConnection, "commit", note_commit)
    monkeypatch.setattr(sa.Connection, "__init__", refuse_connection)
    assert post_bell(client, key).status_code == 201
    assert [each for each in asked if not each.startswith("BEGIN")] == [
        *("ask Redis", "wait"),
        *("ask Redis", "run", "wait"),
        "INSERT INTO usage",
        "INSERT INTO jobs",
        "INSERT INTO job_results",
        "INSERT INTO transfers",
        "COMMIT",
        "tell Redis",
    ]
