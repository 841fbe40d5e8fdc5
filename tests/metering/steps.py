"""What the tests of budgets share."""

from flask.testing import FlaskClient

from tests.factories import API, Key, now
from webapp.accounts.audit import OPERATOR
from webapp.metering.budgets import set_budget

# Of a call where CALL_PRICE_CREDITS is 0.0001.
CALL_MICROCREDITS = 100


def put(key: Key, microcredits: int, *, of_account: bool = False, period: str = "day", refuses: bool = True) -> None:
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
