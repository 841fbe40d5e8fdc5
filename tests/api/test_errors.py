"""The error envelope, and the rules for addresses, methods and bodies that hold for every resource."""

import json
import logging

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from tests.api.helpers import Service, assert_nothing_happened, read_error
from tests.factories import API, Key, make_account, make_key, now, post_bell
from webapp.authentication import public
from webapp.core.db import POOL, db
from webapp.core.postgresql import ImpatientConnection
from webapp.core.redis import store
from webapp.metering.flush import flush

MAX_BODY_BYTES = 1_048_576
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW")


def bell_and(members: str) -> bytes:
    """Write a good body and these members as they stand."""
    return f'{{"templateId": "bell-state", "shots": 10, {members}}}'.encode()


MALFORMED = {
    "only spaces": b"  ",
    "no JSON": b"shots=10",
    "a single quote": b"{'shots': 10}",
    "an array": b"[]",
    "null": b"null",
    "a string": b'"bell-state"',
    "a number": b"10",
    "cut short": b'{"shots": 10',
    "something after the object": b'{"shots": 10}{}',
    "a comment": b'{"shots": 10} // ten',
    "a comma too many": b'{"shots": 10,}',
    "NaN": bell_and('"seed": NaN'),
    "Infinity": bell_and('"seed": Infinity'),
    "-Infinity": bell_and('"seed": -Infinity'),
    "a name twice": bell_and('"shots": 20'),
    "a name twice further down": bell_and('"parameters": {"state": "phi_plus", "state": "psi_plus"}'),
    "a name twice by an escape": bell_and('"sh\\u006fts": 20'),
    "100,000 arrays in each other": b"[" * 100_000,
    "100,000 objects in each other": b'{"a":' * 100_000,
    "a number of 5,000 digits": bell_and(f'"seed": {"9" * 5_000}'),
    "Latin-1": '{"name": "café"}'.encode("latin-1"),
    "UTF-16": '{"shots": 10}'.encode("utf-16"),
    "UTF-16 without a mark": '{"shots": 10}'.encode("utf-16-le"),
    "an overlong encoding": b'{"name": "\xc0\x80"}',
    "an encoded surrogate": b'{"name": "\xed\xa0\x80"}',
    "half a surrogate pair as a value": bell_and('"name": "\\ud800"'),
    "half a surrogate pair as a name": bell_and('"\\udfff": 1'),
    "half a surrogate pair as a parameter": bell_and('"parameters": {"\\ud800": 1}'),
    "half a surrogate pair as a template": b'{"templateId": "\\ud800", "shots": 10}',
    "a control character in a string": bell_and('"name": "a\x01b"'),
    "a NUL byte": b'{"shots": 10}\0',
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_body_is_refused(refusing: Service, body: bytes) -> None:
    error = read_error(refusing.post(body), 400, "malformed_json")
    assert "sys." not in error["message"]
    assert len(error["message"]) < 200


def test_an_empty_body_is_said_to_be_empty(refusing: Service) -> None:
    answer = refusing.client.post(
        f"{API}/jobs",
        headers=refusing.key.headers,
        content_type="application/json",
        environ_overrides={"CONTENT_LENGTH": "0"},
    )
    assert "is empty" in read_error(answer, 400, "malformed_json")["message"]


def test_nesting_that_python_can_read_is_no_more_than_a_wrong_field(refusing: Service) -> None:
    nested = '{"a":' * 500 + "1" + "}" * 500
    error = read_error(refusing.post(bell_and(f'"parameters": {nested}')), 422, "invalid_fields")
    assert [detail["path"] for detail in error["details"]] == ["parameters.a"]


@pytest.mark.parametrize(
    "content_type",
    ["text/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json", "", None],
)
def test_what_is_not_declared_as_json_is_refused(refusing: Service, content_type: str | None) -> None:
    read_error(refusing.post(b'{"templateId": "bell-state", "shots": 10}', content_type=content_type), 415, "not_json")


@pytest.mark.parametrize(
    "content_type", ["application/json", "APPLICATION/JSON; charset=latin-1", "application/x+json"]
)
def test_a_declared_charset_changes_nothing(refusing: Service, content_type: str) -> None:
    read_error(refusing.post('{"shots": "é"}'.encode("latin-1"), content_type=content_type), 400, "malformed_json")


def test_a_body_without_a_length_is_refused(refusing: Service) -> None:
    for environ in ({}, {"HTTP_TRANSFER_ENCODING": "chunked"}):
        answer = refusing.client.post(
            f"{API}/jobs", headers=refusing.key.headers, content_type="application/json", environ_overrides=environ
        )
        read_error(answer, 411, "length_required")


@pytest.mark.parametrize("size", [MAX_BODY_BYTES + 1, 10**18])
def test_a_body_that_is_declared_too_large_is_refused_unread(refusing: Service, size: int) -> None:
    answer = refusing.client.post(
        f"{API}/jobs",
        data=b"{}",
        headers=refusing.key.headers,
        content_type="application/json",
        environ_overrides={"CONTENT_LENGTH": str(size)},
    )
    error = read_error(answer, 413, "body_too_large")
    assert str(MAX_BODY_BYTES) in error["message"]


def test_a_body_of_the_largest_size_is_read(refusing: Service) -> None:
    read_error(refusing.post(b"{}".ljust(MAX_BODY_BYTES)), 422, "invalid_fields")
    read_error(refusing.post(b"{}".ljust(MAX_BODY_BYTES + 1)), 413, "body_too_large")


@pytest.mark.parametrize("length", ["abc", "-1", "5, 5", "1e3", "9" * 5_000])
def test_a_senseless_length_is_no_reason_to_fail(refusing: Service, length: str) -> None:
    answer = refusing.client.post(
        f"{API}/jobs",
        data=b'{"templateId": "bell-state", "shots": 10}',
        headers=refusing.key.headers,
        content_type="application/json",
        environ_overrides={"CONTENT_LENGTH": length},
    )
    assert answer.status_code in {400, 411, 413}


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/jobs/",
        "/me/",
        "/templates/bell-state/",
        "/jobs;x=1",
        "/JOBS",
        "/nothing",
        "/jobs/..%2f..%2fetc%2fpasswd",
        "/templates/../../../etc/passwd",
        "/templates/%2e%2e/%2e%2e/secret_key",
        "/jobs/%00",
        "/templates/bell-state%00",
        "/jobs/a/b",
    ],
)
def test_an_address_of_nothing_is_a_404(refusing: Service, path: str) -> None:
    read_error(refusing.get(path), 404, "not_found")


def test_every_other_method_is_refused_with_those_allowed(refusing: Service) -> None:
    addresses = refusing.app.url_map.bind("localhost")
    rules = {rule.rule for rule in refusing.app.url_map.iter_rules() if rule.rule.startswith(API)}
    assert {f"{API}/jobs", f"{API}/me"} <= rules
    for path in (rule.replace("<", "").replace(">", "") for rule in rules):
        methods = set(addresses.allowed_methods(path))
        # An answer to HEAD has no body to look at.
        for method in set(METHODS) - methods - {"HEAD"}:
            answer = refusing.client.open(path, method=method)
            read_error(answer, 405, "method_not_allowed")
            assert answer.headers["Allow"] == ", ".join(sorted(methods))
            assert answer.get_json()["error"]["message"].endswith(f"allowed are {answer.headers['Allow']}.")


@pytest.mark.parametrize("path", ["/jobs", "/jobs/job_1", "/templates", "/templates/bell-state", "/backends", "/me"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_nothing_is_told_without_a_key(refusing: Service, method: str, path: str) -> None:
    answer = refusing.client.open(API + path, method=method)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert "Allow" not in answer.headers
    assert "bell" not in answer.text


# A limit that regains nothing while the test runs, however long that takes: what is left of it is counted exactly.
@pytest.mark.parametrize("environ", [{"KEY_RATE_LIMITS": "600/86400"}])
def test_head_and_options_are_calls_like_any_other(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        key = make_key(make_account())
    read = client.get(f"{API}/templates", headers=key.headers)
    head = client.head(f"{API}/templates", headers=key.headers)
    assert (head.status_code, head.data, head.content_length) == (200, b"", read.content_length)
    options = client.options(f"{API}/jobs", headers=key.headers)
    assert (options.status_code, options.data) == (200, b"")
    assert '"key";r=597' in options.headers["RateLimit"]
    with app.app_context():
        assert flush(at=now()).calls == 3


def test_every_request_has_an_id_of_its_own(refusing: Service) -> None:
    answers = [refusing.get("/me"), refusing.get("/nothing"), refusing.client.get(f"{API}/me"), refusing.post(b"")]
    ids = [answer.headers["X-Request-Id"] for answer in answers]
    assert len(set(ids)) == len(ids)


def test_the_id_that_a_caller_sends_is_not_taken_over(refusing: Service) -> None:
    answer = refusing.client.get(f"{API}/nothing", headers={"X-Request-Id": "mine"})
    assert read_error(answer, 404, "not_found")["requestId"].startswith("req_")


def test_details_are_json_whatever_a_field_is_called(refusing: Service) -> None:
    names = ["", " ", "\0", "a.b", "é", "__proto__", "x" * 5_000, "</script>", "${7*7}", "%s%n"]
    error = read_error(refusing.post_json(**dict.fromkeys(names, 1)), 422, "invalid_fields")
    assert len(error["details"]) == len(names)
    assert all(len(detail["path"]) <= 100 for detail in error["details"])


def test_a_fault_of_ours_says_nothing_of_itself(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    @public
    def fail() -> str:
        raise ValueError("the secret of the house")

    app.add_url_rule(f"{API}/broken", view_func=fail)
    with caplog.at_level(logging.CRITICAL):
        error = read_error(app.test_client().get(f"{API}/broken"), 500, "internal_error")
    assert "secret" not in json.dumps(error)


def test_a_database_that_is_away_is_a_503(
    app: Flask, client: FlaskClient, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.get(f"{API}/jobs", headers=key.headers).status_code == 200
    with app.app_context():
        engine = db.engine
    engine.dispose()

    def refuse_connection(*_: object, **__: object) -> None:
        raise engine.dialect.loaded_dbapi.OperationalError("no route to host: db.internal")

    monkeypatch.setattr(ImpatientConnection, "connect", refuse_connection)
    sa.event.listen(engine, "do_connect", refuse_connection)
    for answer in (client.get(f"{API}/jobs", headers=key.headers), post_bell(client, key)):
        error = read_error(answer, 503, "store_unavailable")
        assert "db.internal" not in error["message"]
        assert int(answer.headers["Retry-After"]) >= 1
    assert client.get(f"{API}/me", headers=key.headers).status_code == 200
    monkeypatch.undo()
    sa.event.remove(engine, "do_connect", refuse_connection)
    assert client.get(f"{API}/jobs", headers=key.headers).json == {"jobs": [], "nextCursor": None}


def test_having_no_connection_left_is_a_503(
    app: Flask, client: FlaskClient, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.get(f"{API}/me", headers=key.headers).status_code == 200
    with app.app_context():
        pool = db.engine.pool
        monkeypatch.setattr(pool, "_timeout", 0.01)
        monkeypatch.setattr(pool, "_max_overflow", 0)
        taken = [db.engine.connect() for _ in range(POOL["pool_size"])]
    read_error(client.get(f"{API}/jobs", headers=key.headers), 503, "store_unavailable")
    read_error(post_bell(client, key), 503, "store_unavailable")
    for connection in taken:
        connection.close()
    assert client.get(f"{API}/jobs", headers=key.headers).status_code == 200


def test_redis_going_away_after_admission_costs_nothing(app: Flask, redis_url: str) -> None:
    with app.app_context():
        account = make_account()
        key = make_key(account)

    @app.before_request
    def lose_redis() -> None:
        store.connect("unix:///nowhere/valkey.sock")

    read_error(post_bell(app.test_client(), key), 503, "store_unavailable")
    store.connect(redis_url)
    with app.app_context():
        assert_nothing_happened(account)
