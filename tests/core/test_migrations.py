"""Migrations keep the rows that are there."""

import sqlalchemy as sa
from flask import Flask

from tests.factories import digest_of, make_account, make_key
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
