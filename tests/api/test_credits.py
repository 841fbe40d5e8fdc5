"""GET /credits: where the credits are, and every movement of them."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.factories import API, Account, Key, body, make_account, make_key, now, post_bell
from webapp.accounts.audit import OPERATOR
from webapp.metering.credits import grant_credits

CREDITS = f"{API}/credits"


@pytest.fixture
def account(app: Flask) -> Account:
    with app.app_context():
        return make_account(microcredits=10_000_000)


def test_the_parts_add_up_and_the_lines_tell_why(client: FlaskClient, key: Key) -> None:
    job = body(post_bell(client, key))
    found = body(client.get(CREDITS, headers=key.headers))
    parts = [Decimal(found[name]) for name in ("available", "held", "unflushed", "spent", "expired")]
    assert sum(parts) == Decimal(found["granted"]) == 10
    charge, grant = found["transfers"]
    assert (charge["kind"], charge["amount"]) == ("charge", "-0.001101")
    assert (charge["from"], charge["to"]) == ("customer", "revenue")
    assert charge["reference"] == f"hold:{job['id']}"
    assert (grant["amount"], grant["from"], grant["to"]) == ("10", "grants", "customer")
    assert found["nextCursor"] is None


def test_it_says_what_expires_when_the_soonest_first(
    app: Flask, client: FlaskClient, account: Account, key: Key
) -> None:
    with app.app_context():
        for day, microcredits in ((30, 2_000_000), (20, 1_000_000)):
            grant_credits(
                organisation_id=account.organisation_id,
                microcredits=microcredits,
                reason="",
                reference=None,
                actor=OPERATOR,
                at=now(),
                expires_at=datetime(2100, 1, day, tzinfo=UTC),
            )
    post_bell(client, key)
    assert body(client.get(CREDITS, headers=key.headers))["expiring"] == [
        {"amount": "0.998899", "expiresAt": "2100-01-20T00:00:00.000Z"},
        {"amount": "2", "expiresAt": "2100-01-30T00:00:00.000Z"},
    ]


def test_lines_come_page_by_page(client: FlaskClient, key: Key) -> None:
    for _ in range(4):
        post_bell(client, key)
    seen: list[str] = []
    cursor = ""
    for _ in range(3):
        page = body(client.get(f"{CREDITS}?limit=2{cursor}", headers=key.headers))
        seen += [line["id"] for line in page["transfers"]]
        cursor = f"&cursor={page['nextCursor']}"
    assert page["nextCursor"] is None
    assert len(set(seen)) == 5
    assert seen == sorted(seen, reverse=True)


def test_another_accounts_lines_are_not_shown(app: Flask, client: FlaskClient, key: Key) -> None:
    post_bell(client, key)
    with app.app_context():
        stranger = make_key(make_account(microcredits=5))
    found = body(client.get(CREDITS, headers=stranger.headers))
    assert found["granted"] == "0.000005"
    assert len(found["transfers"]) == 1


def test_it_needs_the_scope_and_a_good_query(app: Flask, client: FlaskClient, account: Account, key: Key) -> None:
    with app.app_context():
        limited = make_key(account, scopes=("jobs:read",))
    assert client.get(CREDITS, headers=limited.headers).status_code == 403
    refused = client.get(f"{CREDITS}?limit=0&cursor=x&page=1", headers=key.headers)
    assert refused.status_code == 422
    assert [detail["path"] for detail in body(refused)["error"]["details"]] == ["limit", "cursor", "page"]
