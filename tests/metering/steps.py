"""What the tests of metering share."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from tests.factories import API, Key, now
from webapp.accounts.audit import OPERATOR
from webapp.core.db import db
from webapp.metering.budgets import set_budget

# Of a call where CALL_PRICE_CREDITS is 0.0001.
CALL_MICROCREDITS = 100


def put_budget(
    key: Key, microcredits: int, *, of_account: bool = False, period: str = "day", refuses: bool = True
) -> None:
    """Set a budget of the key, or of its account."""
    set_budget(
        organisation_id=key.row.organisation_id,
        key_id=None if of_account else key.row.id,
        period=period,
        microcredits=microcredits,
        refuses=refuses,
        actor=OPERATOR,
        at=now(),
    )


def call(client: FlaskClient, key: Key) -> int:
    """Make a call, and give the answer's status."""
    return client.get(f"{API}/me", headers=key.headers).status_code


@contextmanager
def counted_statements(app: Flask) -> Iterator[list[str]]:
    """Collect the SQL statements that this thread runs inside the block."""
    statements: list[str] = []
    own = threading.get_ident()

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if threading.get_ident() == own:
            statements.append(statement)

    with app.app_context():
        engine = db.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    yield statements
    sa.event.remove(engine, "before_cursor_execute", note)
