"""Logs: one JSON object a line, tied to its request, and no secret in it."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from tests.factories import API, make_account, make_key
from webapp import logs
from webapp.core.errors import StoreAwayError

RAW_KEY = "upcube_sk_9EnpcVqkIuWAuwIhkv8uqKUGxes1yJMfyf33q2Ay"
SECRET = RAW_KEY.removeprefix("upcube_sk_")

ReadLines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def read_lines() -> Iterator[ReadLines]:
    """Log as the processes do; give the lines that came since the last look."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    stream = io.StringIO()

    def read() -> list[dict[str, Any]]:
        text = stream.getvalue()
        assert SECRET not in text
        stream.seek(0)
        stream.truncate()
        return [json.loads(line) for line in text.splitlines()]

    logs.configure(in_json=True, stream=stream)
    yield read
    root.handlers, root.level = handlers, level


def test_a_line_has_its_level_name_and_time(read_lines: ReadLines) -> None:
    logging.getLogger("webapp.any").warning("hold %s is left", "job_1")
    [line] = read_lines()
    assert (line["event"], line["level"], line["logger"]) == ("hold job_1 is left", "warning", "webapp.any")
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize(
    "said",
    [
        f"no such key: {RAW_KEY}",
        f"Authorization: Bearer {RAW_KEY}",
        f"GET /any?token={SECRET}&more=1",
        f"Cookie: upcube_session={SECRET}; other=1",
        f"GET /reset/{SECRET} failed",
        f"http://q.test/verify/{SECRET}",
        f"GET /invitations/{SECRET} failed",
        f"{{'Authorization': 'bearer {SECRET}'}}",
    ],
)
def test_what_looks_like_a_secret_is_masked(read_lines: ReadLines, said: str) -> None:
    logging.getLogger("webapp.any").error("failed: %s", said, exc_info=ValueError(said), extra={"more": said})
    [line] = read_lines()
    assert "***" in line["event"]
    assert "***" in line["more"]
    assert "ValueError" in line["exception"]


def test_people_get_text(capsys: pytest.CaptureFixture[str], read_lines: ReadLines) -> None:
    assert read_lines() == []
    logs.configure(in_json=False)
    logging.getLogger("webapp.any").warning("no such key: %s", RAW_KEY)
    text = capsys.readouterr().err
    assert "no such key: upcube_sk_***" in text
    assert not text.startswith("{")


def test_a_500_and_a_503_are_told_with_their_request(app: Flask, read_lines: ReadLines) -> None:
    def fail() -> str:
        raise RuntimeError(RAW_KEY)

    def be_away() -> str:
        raise StoreAwayError("Away.")

    with app.app_context():
        key = make_key(make_account())
    read_lines()
    for endpoint, view, path, status in (
        ("api.read_me", fail, "/me", 500),
        ("api.read_backends", be_away, "/backends", 503),
    ):
        view.__dict__.update(app.view_functions[endpoint].__dict__)
        app.view_functions[endpoint] = view
        answer = app.test_client().get(f"{API}{path}?token={SECRET}", headers=key.headers)
        assert answer.status_code == status
        line, told = read_lines()
        assert told["event"] == "request"
        assert line["request_id"] == answer.headers["X-Request-Id"]
        assert (line["path"], line["key_id"]) == (f"{API}{path}", key.row.id)


@pytest.fixture
def environ() -> dict[str, str]:
    return {"LOG_REQUESTS": "1"}


def test_every_request_is_told_where_the_operator_wants_it(app: Flask, read_lines: ReadLines) -> None:
    assert app.test_client().get("/healthz?any=1").status_code == 200
    [line] = read_lines()
    assert (line["event"], line["status"], line["path"]) == ("request", 200, "/healthz")
    assert line["milliseconds"] > 0
    assert app.test_client().get(f"{API}/me").status_code == 401
    [refused] = read_lines()
    assert (refused["status"], refused["path"]) == (401, f"{API}/me")
