"""The amount above which an account is asked: what was set last holds from the next job on, whatever Redis forgets."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.api.helpers import assert_nothing_happened
from tests.factories import Account, Key, hold_credits, now, post_bell
from webapp.accounts.audit import OPERATOR
from webapp.core.redis import store
from webapp.jobs.confirmation import set_confirmation
from webapp.metering.holds import ConfirmationWantedError

# A Bell state with the hundred shots of these tests costs 1101.
BELOW, EXACTLY = 1_100, 1_101


def ask_above(app: Flask, account: Account, microcredits: int | None) -> None:
    """Set the amount."""
    with app.app_context():
        set_confirmation(
            organisation_id=account.organisation_id, above_microcredits=microcredits, actor=OPERATOR, at=now()
        )


def test_each_change_holds_from_the_next_job_on(app: Flask, client: FlaskClient, account: Account, key: Key) -> None:
    statuses = []
    for limit in (None, BELOW, EXACTLY, BELOW, None):
        ask_above(app, account, limit)
        statuses.append(post_bell(client, key).status_code)
    assert statuses == [201, 409, 201, 409, 201]


def test_it_holds_when_redis_has_forgotten_everything(
    app: Flask, client: FlaskClient, account: Account, key: Key
) -> None:
    ask_above(app, account, BELOW)
    with app.app_context():
        store.client.flushall()
        assert post_bell(client, key).status_code == 409
        assert_nothing_happened(account)


def test_what_nobody_spends_asks_nobody(app: Flask, account: Account) -> None:
    ask_above(app, account, BELOW)
    with app.app_context():
        held = hold_credits(shard_tag=account.shard_tag, hold_id="expiry", microcredits=5_000, max_holds=1)
        assert held.microcredits == 5_000
        with pytest.raises(ConfirmationWantedError, match="1100 micro-credits"):
            hold_credits(shard_tag=account.shard_tag, hold_id="job", microcredits=5_000, max_holds=16, spender="key")
