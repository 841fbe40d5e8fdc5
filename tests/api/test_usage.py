"""GET /usage: what was used, in groups, and all groups give the same total."""

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.api.helpers import Service, read_error
from tests.factories import API, Key, make_account, make_key, now, post_bell, queue_bell
from webapp.metering.flush import flush


@pytest.fixture
def keys(app: Flask) -> tuple[Key, Key]:
    with app.app_context():
        account = make_account()
        return make_key(account, name="first"), make_key(account, name="second")


def test_every_grouping_has_the_same_credits_in_all(app: Flask, client: FlaskClient, keys: tuple[Key, Key]) -> None:
    first, second = keys
    post_bell(client, first)
    post_bell(client, second)
    post_bell(client, second, backend="qulacs")
    queue_bell(client, first)
    with app.app_context():
        flush(at=now())

    def read(group_by: str) -> dict[str, dict[str, object]]:
        answer = client.get(f"{API}/usage?groupBy={group_by}", headers=first.headers).get_json()
        assert answer["groupBy"] == group_by
        assert answer["total"]["credits"] == "0.003303"
        return {line["group"]: line for line in answer["usage"]}

    by_key = read("key")
    assert list(by_key) == [second.row.id, first.row.id]
    assert by_key[second.row.id] == {"group": second.row.id, "name": "second", "calls": 2, "credits": "0.002202"}
    [day] = read("day").values()
    assert day == {"group": f"{now():%Y-%m-%d}", "name": None, "calls": 4, "credits": "0.003303"}
    [hour] = read("hour")
    assert hour == f"{now():%Y-%m-%dT%H:00:00Z}"
    by_endpoint = read("endpoint")
    assert {name: (line["calls"], line["credits"]) for name, line in by_endpoint.items()} == {
        "create_job": (4, "0.003303"),
    }
    # Calls of a backend are its jobs, and one of four has not ended.
    by_backend = read("backend")
    assert {name: (line["calls"], line["credits"]) for name, line in by_backend.items()} == {
        "local-simulator": (2, "0.002202"),
        "qulacs": (1, "0.001101"),
    }


def test_endpoints_are_counted_one_by_one(app: Flask, client: FlaskClient, keys: tuple[Key, Key]) -> None:
    for path, calls in (("me", 3), ("templates", 2), ("templates/bell-state", 1)):
        for _ in range(calls):
            for key in keys:
                client.get(f"{API}/{path}", headers=key.headers)
        with app.app_context():
            flush(at=now())
    post_bell(client, keys[0])
    answer = client.get(f"{API}/usage?groupBy=endpoint", headers=keys[0].headers).get_json()
    assert [(line["group"], line["name"], line["calls"]) for line in answer["usage"]] == [
        # Charged at once, and its call is counted by the next flush.
        ("create_job", "POST /jobs", 0),
        ("read_me", "GET /me", 6),
        ("read_template", "GET /templates/{templateId}", 2),
        ("read_templates", "GET /templates", 4),
    ]
    assert answer["total"]["calls"] == 12


def test_a_period_leaves_out_what_is_not_in_it(app: Flask, client: FlaskClient, keys: tuple[Key, Key]) -> None:
    post_bell(client, keys[0])
    with app.app_context():
        flush(at=now())
    yesterday = f"{now() - timedelta(days=1):%Y-%m-%d}"
    for query in (f"from={yesterday}&to={yesterday}T23:00:00Z", f"from={yesterday}&to={yesterday}T12:00:00%2B01:00"):
        answer = client.get(f"{API}/usage?{query}", headers=keys[0].headers).get_json()
        assert (answer["usage"], answer["total"]) == ([], {"calls": 0, "credits": "0"})
        assert answer["from"] == f"{yesterday}T00:00:00.000Z"
    assert client.get(f"{API}/usage?from={yesterday}", headers=keys[0].headers).get_json()["total"]["calls"] == 1


def test_a_stranger_sees_nothing(app: Flask, client: FlaskClient, keys: tuple[Key, Key]) -> None:
    post_bell(client, keys[0])
    with app.app_context():
        flush(at=now())
        stranger = make_key(make_account())
    for group_by in ("key", "day", "hour", "endpoint", "backend"):
        assert client.get(f"{API}/usage?groupBy={group_by}", headers=stranger.headers).get_json()["usage"] == []


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("groupBy=month", "groupBy"),
        ("groupBy=", "groupBy"),
        ("from=yesterday", "from"),
        ("from=2026-13-01", "from"),
        ("to=0001-01-01T00:00:00%2B23:59", "to"),
        ("from=2026-01-02&to=2026-01-01", "from"),
        ("from=2026-01-01&to=2026-01-01", "from"),
        ("from=2020-01-01&to=2026-01-01", "from"),
        ("from=0001-01-01", "from"),
        ("limit=1", "limit"),
    ],
)
def test_a_wrong_query_is_refused_with_what_is_allowed(refusing: Service, query: str, path: str) -> None:
    [detail] = read_error(refusing.get(f"/usage?{query}"), 422, "invalid_fields")["details"]
    assert detail["path"] == path
    assert path == "limit" or detail["allowed"]
