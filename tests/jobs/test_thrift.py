"""What an inline job asks of the stores: it answers while somebody waits, and each question is a part of that time."""

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from tests.factories import make_account, make_key, post_bell
from webapp.core.db import db
from webapp.core.redis import Store


def test_an_inline_job_takes_four_statements_one_commit_and_three_round_trips(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        key, engine = make_key(make_account()), db.engine
    # The first call of a key and of a connection takes more.
    assert post_bell(client, key).status_code == 201
    asked: list[str] = []
    call = Store.call

    def note_call(self: Store, *command: str | bytes, **options: object) -> object:
        asked.append("Redis")
        return call(self, *command, **options)  # type: ignore[arg-type]

    def note_statement(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.startswith("BEGIN"):
            asked.append(" ".join(statement.split()[:3]))

    def note_commit(_connection: object) -> None:
        asked.append("COMMIT")

    monkeypatch.setattr(Store, "call", note_call)
    sa.event.listen(engine, "before_cursor_execute", note_statement)
    sa.event.listen(engine, "commit", note_commit)
    try:
        assert post_bell(client, key).status_code == 201
    finally:
        sa.event.remove(engine, "before_cursor_execute", note_statement)
        sa.event.remove(engine, "commit", note_commit)
    assert asked == [
        "Redis",
        "Redis",
        "INSERT INTO usage",
        "INSERT INTO jobs",
        "INSERT INTO job_results",
        "INSERT INTO transfers",
        "COMMIT",
        "Redis",
    ]
