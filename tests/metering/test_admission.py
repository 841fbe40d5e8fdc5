"""What one call costs, and which calls are refused."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from threading import Thread

import pytest
from flask import Flask
from flask.testing import FlaskClient

from config import ConfigurationError, Settings
from tests.factories import API, PASSWORD, Key, body, make_account, make_key, now, post_bell
from tests.metering.steps import counted_statements
from tests.stores import list_idle_connections
from webapp import create_app
from webapp.accounts.audit import HERE, OPERATOR
from webapp.accounts.log_in import log_in
from webapp.accounts.models import Organisation
from webapp.accounts.operations import disable_user
from webapp.core.db import transaction
from webapp.core.errors import StoreAwayError
from webapp.core.key_tokens import new_token, parse_token
from webapp.core.redis import store
from webapp.keys.models import ApiKey, StoredToken
from webapp.keys.operations import revoke_key
from webapp.keys.queries import list_keys
from webapp.metering import admission
from webapp.metering.credits import get_credits
from webapp.metering.flush import flush
from webapp.metering.queries import list_keys_with_usage
from webapp.metering.verify import verify

ME = f"{API}/me"


@pytest.fixture
def key(app: Flask) -> Key:
    with app.app_context():
        return make_key(make_account(microcredits=1_000))


def count_commands() -> dict[str, int]:
    """Count the commands that clients have sent, by name. Scripts' own commands are not a client's."""
    counts: Counter[str] = Counter()
    for server in store.servers.list_known():
        stats = server.client.info("commandstats")
        counts.update({name.removeprefix("cmdstat_"): int(entry["calls"]) for name, entry in stats.items()})
    return counts


@pytest.mark.parametrize("path", ["/me", "/templates", "/templates/bell-state", "/backends", "/backends/qulacs"])
def test_a_metadata_read_is_one_round_trip_and_no_sql(app: Flask, client: FlaskClient, key: Key, path: str) -> None:
    client.get(ME, headers=key.headers)
    before = count_commands()
    with counted_statements(app) as statements:
        assert client.get(API + path, headers=key.headers).status_code == 200
    after = count_commands()
    assert statements == []
    assert after["evalsha"] - before["evalsha"] == 1
    # Beside the script's own commands there is only the INFO that counts.
    scripted = {"hget", "hmget", "hset", "hincrby", "hsetnx", "time"}
    sent = {name for name, calls in after.items() if calls != before.get(name, 0)}
    assert sent - scripted == {"evalsha", "info"}


def test_a_refused_call_is_one_round_trip_and_no_sql(app: Flask, client: FlaskClient, key: Key) -> None:
    revoke(app, key)
    client.get(ME, headers=key.headers)
    before = count_commands()
    with counted_statements(app) as statements:
        assert client.get(ME, headers=key.headers).status_code == 401
    assert statements == []
    assert count_commands()["evalsha"] - before["evalsha"] == 1


def test_a_malformed_token_reaches_neither_redis_nor_sql(app: Flask, client: FlaskClient, key: Key) -> None:
    before = count_commands()
    with counted_statements(app) as statements:
        for token in ("", "x", key.raw[:-1], key.raw + "0", key.raw.swapcase(), "upcube_sk_" + "é" * 40):
            headers = {"Authorization": f"Bearer {token}".encode().decode("latin-1")}
            assert client.get(ME, headers=headers).status_code == 401
    assert statements == []
    assert count_commands().get("evalsha", 0) == before.get("evalsha", 0)


def test_an_unknown_key_is_looked_up_once(app: Flask, client: FlaskClient, key: Key) -> None:
    token = parse_token(key.raw)
    assert token is not None
    headers = {"Authorization": f"Bearer {new_token(token.shard_tag)}"}
    answer = client.get(ME, headers=headers)
    assert (answer.status_code, body(answer)["error"]["code"]) == (401, "unknown_api_key")
    with counted_statements(app) as statements:
        assert client.get(ME, headers=headers).status_code == 401
    assert statements == []


def test_unknown_keys_wait_for_no_writer(app: Flask, client: FlaskClient, key: Key) -> None:
    token = parse_token(key.raw)
    assert token is not None
    answers: list[int] = []

    def guess() -> None:
        headers = {"Authorization": f"Bearer {new_token(token.shard_tag)}"}
        answers.append(client.get(ME, headers=headers).status_code)

    with app.app_context(), transaction():
        # Whoever writes to SQLite keeps other writers out.
        thread = Thread(target=guess)
        thread.start()
        thread.join(timeout=10)
        assert answers == [401]


def revoke(app: Flask, key: Key) -> None:
    with app.app_context():
        revoke_key(organisation_id=key.row.organisation_id, key_id=key.row.id, actor=OPERATOR, at=now())


def test_a_revoked_key_is_refused_by_the_very_next_call(app: Flask, client: FlaskClient, key: Key) -> None:
    assert client.get(ME, headers=key.headers).status_code == 200
    revoke(app, key)
    answer = client.get(ME, headers=key.headers)
    assert (answer.status_code, body(answer)["error"]["code"]) == (401, "revoked_api_key")
    assert key.raw not in answer.text
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_key_revoked_before_its_first_call_is_refused(app: Flask, client: FlaskClient, key: Key) -> None:
    revoke(app, key)
    assert client.get(ME, headers=key.headers).status_code == 401


def test_a_revoked_key_stays_refused_when_redis_forgets_it(app: Flask, client: FlaskClient, key: Key) -> None:
    revoke(app, key)
    store.client.flushdb()
    assert client.get(ME, headers=key.headers).status_code == 401


def test_a_disabled_account_is_refused(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        account = make_account()
        key = make_key(account)
    assert client.get(ME, headers=key.headers).status_code == 200
    with app.app_context():
        log_in(email=account.email, password=PASSWORD, origin=HERE, at=now())
        disable_user(email=account.email, actor=OPERATOR, at=now())
    answer = client.get(ME, headers=key.headers)
    assert (answer.status_code, body(answer)["error"]["code"]) == (403, "account_disabled")
    store.client.flushdb()
    assert client.get(ME, headers=key.headers).status_code == 403


def test_a_key_without_the_scope_is_refused_and_not_counted(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        key = make_key(make_account(), scopes=("jobs:read",))
    answer = client.get(f"{API}/templates", headers=key.headers)
    error = body(answer)["error"]
    assert (answer.status_code, error["code"], error["requiredScope"]) == (403, "insufficient_scope", "templates:read")
    assert '"key";r=600' in answer.headers["RateLimit"]
    with app.app_context():
        assert flush(at=now()).calls == 0


def test_calls_and_last_use_reach_the_keys_row(app: Flask, client: FlaskClient, key: Key) -> None:
    for _ in range(3):
        client.get(ME, headers=key.headers)
    with app.app_context():
        report = flush(at=now())
        assert (report.batches, report.keys, report.calls) == (1, 1, 3)
        [usage] = list_keys_with_usage(key.row.organisation_id)
    assert usage.calls == 3
    assert usage.last_used_at is not None
    assert abs((now() - usage.last_used_at).total_seconds()) < 60


def test_a_key_cannot_be_revoked_while_redis_is_being_told_of_it(
    app: Flask, client: FlaskClient, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_record = admission.token_record
    revoking = Thread(target=revoke, args=(app, key))

    def revoke_meanwhile(row: StoredToken, organisation: Organisation) -> dict[str, str]:
        revoking.start()
        revoking.join(timeout=0.3)
        assert revoking.is_alive()
        return make_record(row, organisation)

    monkeypatch.setattr(admission, "token_record", revoke_meanwhile)
    # Whether this call is still served is a race that either may win.
    client.get(ME, headers=key.headers)
    revoking.join()
    assert client.get(ME, headers=key.headers).status_code == 401


class TestPricedCalls:
    """A call costs 100 micro-credits, and the account has 1,000."""

    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {"CALL_PRICE_CREDITS": "0.0001"}

    def test_calls_are_paid_until_nothing_is_left(self, app: Flask, client: FlaskClient, key: Key) -> None:
        statuses = [client.get(ME, headers=key.headers).status_code for _ in range(12)]
        assert statuses == [200] * 10 + [402] * 2
        refused = body(client.get(ME, headers=key.headers))["error"]
        assert (refused["required"], refused["available"], refused["limitSource"]) == ("0.0001", "0", "balance")
        with app.app_context():
            assert verify() == []
            unflushed = get_credits(key.row.organisation_id)
            assert (unflushed.available, unflushed.unflushed, unflushed.spent) == (0, 1_000, 0)
            assert flush(at=now()).microcredits == 1_000
            flushed = get_credits(key.row.organisation_id)
            assert (flushed.available, flushed.unflushed, flushed.spent) == (0, 0, 1_000)
            assert verify() == []

    def test_parallel_calls_cannot_overspend(self, app: Flask, key: Key) -> None:
        def call(_: int) -> int:
            return app.test_client().get(ME, headers=key.headers).status_code

        with ThreadPoolExecutor(max_workers=8) as threads:
            statuses = list(threads.map(call, range(100)))
        assert statuses.count(200) == 10
        assert statuses.count(402) == 90
        with app.app_context():
            assert verify() == []


class TestOperationPrices:
    """Running a job costs a call's price besides; everything else is free but /me."""

    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {"OPERATION_PRICES": "create_job=0.0005, read_me=0.0002"}

    def test_each_operation_costs_its_own_price(self, app: Flask, client: FlaskClient) -> None:
        with app.app_context():
            key = make_key(make_account(microcredits=10_000))
        for path in ("/me", "/me", "/templates", "/jobs"):
            assert client.get(API + path, headers=key.headers).status_code == 200
        assert post_bell(client, key).status_code == 201
        with app.app_context():
            found = get_credits(key.row.organisation_id)
            assert (found.unflushed, found.spent) == (900, 1_101)
            flush(at=now())
            assert verify() == []

    def test_a_refusal_names_the_price_of_that_operation(self, app: Flask, client: FlaskClient) -> None:
        with app.app_context():
            key = make_key(make_account(microcredits=300))
        assert client.get(ME, headers=key.headers).status_code == 200
        refused = client.get(ME, headers=key.headers)
        assert refused.status_code == 402
        assert body(refused)["error"]["required"] == "0.0002"

    def test_a_price_for_no_operation_is_refused_at_the_start(self, settings: Settings) -> None:
        with pytest.raises(ConfigurationError, match="fly_to_the_moon"):
            create_app(replace(settings, operation_prices_credits={"fly_to_the_moon": Decimal(1)}))


def test_clocks_that_drifted_apart_are_compared_again(client: FlaskClient, app: Flask, key: Key) -> None:
    client.get(ME, headers=key.headers)
    # As if Redis' host had slept, or its clock had been set forward, since this connection was made.
    for connection in list_idle_connections(store):
        connection.clock_offset_us -= 3_600_000_000
    answer = client.get(ME, headers=key.headers)
    assert (answer.status_code, "RateLimit" in answer.headers) == (200, True)
    with app.app_context():
        assert flush(at=now()).calls == 2


class TestRedisAway:
    """Redis does not answer."""

    @pytest.fixture(autouse=True)
    def away(self, key: Key) -> None:
        assert key.raw
        store.connect("unix:///nowhere/valkey.sock")

    def test_a_job_is_a_503_that_says_when_to_come_back(self, client: FlaskClient, key: Key) -> None:
        answer = post_bell(client, key)
        assert (answer.status_code, body(answer)["error"]["code"]) == (503, "store_unavailable")
        assert int(answer.headers["Retry-After"]) >= 1

    def test_reads_are_served_by_sql(self, client: FlaskClient, key: Key) -> None:
        for path in ("/me", "/templates", "/jobs"):
            assert client.get(API + path, headers=key.headers).status_code == 200

    def test_keys_that_are_not_good_are_refused_by_sql(self, app: Flask, client: FlaskClient, key: Key) -> None:
        with app.app_context():
            limited = make_key(make_account(), scopes=("jobs:read",))
            disabled = make_key(make_account())
            with transaction() as session:
                session.get_one(ApiKey, key.row.id).revoked_at = now()
                session.get_one(Organisation, disabled.row.organisation_id).disabled_at = now()
        unknown = {"Authorization": f"Bearer {new_token('AAAAAA')}"}
        found = [
            client.get(f"{API}/templates", headers=headers).status_code
            for headers in (key.headers, limited.headers, disabled.headers, unknown)
        ]
        assert found == [401, 403, 403, 401]

    def test_a_revocation_is_not_claimed_to_have_happened(self, app: Flask, key: Key) -> None:
        with app.app_context():
            with pytest.raises(StoreAwayError):
                revoke_key(organisation_id=key.row.organisation_id, key_id=key.row.id, actor=OPERATOR, at=now())
            [row] = list_keys(key.row.organisation_id)
            assert row.revoked_at is None
