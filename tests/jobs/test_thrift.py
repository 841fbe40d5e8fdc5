"""What an inline job asks of the stores: it answers while somebody waits, and each question is a part of that time."""

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.factories import Key, post_bell
from webapp.core.driver import DriverConnection, Parameters
from webapp.core.redis_wire import Argument, Wire
from webapp.jobs import operations

# Takes longer than the rest of its request, and is answered with its result all the same.
MANY_SHOTS = 100_000


@pytest.fixture
def key(client: FlaskClient, key: Key) -> Key:
    """A key that Redis knows, as does this thread's connection: the first call of either takes more."""
    assert post_bell(client, key).status_code == 201
    return key


@pytest.fixture
def asked(key: Key, monkeypatch: pytest.MonkeyPatch) -> list[str]:  # noqa: ARG001 - what comes after its first call
    """What jobs do and ask from now on, in order; whatever else is asked of the database fails."""
    found: list[str] = []
    ask, tell, read, run = Wire.send, Wire.tell, Wire.read, operations.run_inline
    execute, commit = DriverConnection.exec_driver_sql, DriverConnection.commit

    def note_question(self: Wire, command: tuple[Argument, ...]) -> None:
        found.append("ask Redis")
        ask(self, command)

    def note_telling(self: Wire, command: tuple[Argument, ...], *, instead: tuple[Argument, ...] | None = None) -> None:
        tell(self, command, instead=instead)
        found[-1] = "tell Redis"

    def note_wait(self: Wire) -> object:
        found.append("wait")
        return read(self)

    def note_run(*arguments: object) -> object:
        found.append("run")
        return run(*arguments)  # type: ignore[arg-type]

    def note_statement(self: DriverConnection, statement: str, parameters: Parameters) -> None:
        if not statement.startswith("BEGIN"):
            found.append(" ".join(statement.split()[:3]))
        execute(self, statement, parameters)

    def note_commit(self: DriverConnection) -> None:
        found.append("COMMIT")
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
    return found


def test_an_inline_job_takes_four_statements_one_commit_and_two_waits_for_redis(
    client: FlaskClient, key: Key, asked: list[str]
) -> None:
    assert post_bell(client, key).status_code == 201
    assert asked == [
        *("ask Redis", "wait"),
        *("ask Redis", "run", "wait"),
        "INSERT INTO usage",
        "INSERT INTO jobs",
        "INSERT INTO job_results",
        "INSERT INTO transfers",
        "COMMIT",
        "tell Redis",
    ]


def test_a_job_that_takes_longer_runs_once_its_price_is_held(client: FlaskClient, key: Key, asked: list[str]) -> None:
    assert post_bell(client, key, shots=MANY_SHOTS).status_code == 201
    assert asked[:5] == ["ask Redis", "wait", "ask Redis", "wait", "run"]
