"""What an inline job asks of the stores: it answers while somebody waits, and each question is a part of that time."""

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from tests.factories import make_account, make_key, post_bell
from webapp.core.db import db
from webapp.core.redis_wire import Sent, Wire
from webapp.jobs import operations


def test_an_inline_job_takes_four_statements_one_commit_and_two_waits_for_redis(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        key, engine = make_key(make_account()), db.engine
    # The first call of a key and of a connection takes more.
    assert post_bell(client, key).status_code == 201
    asked: list[str] = []
    send, read, run = Wire.send, Wire.read, operations.run_inline

    def note_question(self: Wire, *command: object, **options: object) -> object:
        asked.append("ask Redis" if options.get("is_awaited", True) else "tell Redis")
        return send(self, *command, **options)  # type: ignore[arg-type]

    def note_wait(self: Wire, sent: Sent) -> object:
        asked.append("wait")
        return read(self, sent)

    def note_run(*arguments: object) -> object:
        asked.append("run")
        return run(*arguments)  # type: ignore[arg-type]

    def note_statement(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.startswith("BEGIN"):
            asked.append(" ".join(statement.split()[:3]))

    def note_commit(_connection: object) -> None:
        asked.append("COMMIT")

    monkeypatch.setattr(Wire, "send", note_question)
    monkeypatch.setattr(Wire, "read", note_wait)
    monkeypatch.setattr(operations, "run_inline", note_run)
    sa.event.listen(engine, "before_cursor_execute", note_statement)
    sa.event.listen(engine, "commit", note_commit)
    try:
        assert post_bell(client, key).status_code == 201
    finally:
        sa.event.remove(engine, "before_cursor_execute", note_statement)
        sa.event.remove(engine, "commit", note_commit)
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
