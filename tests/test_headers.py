"""What every kind of answer tells browsers that they may not do."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.factories import API, PASSWORD, make_account, make_key

HSTS = "Strict-Transport-Security"

# A kind of answer, with its status and the path that gives it.
ANSWERS = {
    "a page": (200, "/login"),
    "a page of the console": (200, "/console"),
    "a redirect": (302, "/invitations/"),
    "a page that is not there": (404, "/nothing"),
    "a method that is not there": (405, "/logout"),
    "a file for a spreadsheet": (200, "/console/audit.csv"),
    "a script": (200, "/static/0/scripts/api-keys.js"),
    "a failure": (500, "/docs"),
    "health": (200, "/healthz"),
    "an answer of the API": (200, f"{API}/me"),
    "a refusal of the API": (404, f"{API}/jobs/nothing"),
    "a call of nothing": (404, f"{API}/nothing"),
    "a description": (200, f"{API}/openapi.json"),
}


@pytest.fixture
def answers(app: Flask, client: FlaskClient) -> dict[str, TestResponse]:
    """Give each kind of answer."""

    def fail() -> str:
        raise RuntimeError

    fail.__dict__.update(app.view_functions["dashboard.docs"].__dict__)
    app.view_functions["dashboard.docs"] = fail
    with app.app_context():
        account = make_account()
        key = make_key(account)
    base = "https://localhost" if app.config["SESSION_COOKIE_SECURE"] else "http://localhost"
    client.post("/login", data={"email": account.email, "password": PASSWORD}, base_url=base)
    found = {}
    for kind, (status, path) in ANSWERS.items():
        headers = key.headers if path.startswith(API) else {}
        answer = client.get(path, headers=headers, base_url=base, buffered=True)
        found[kind] = answer
        assert answer.status_code == status or kind in {"a page", "a redirect"}, (kind, answer.status_code)
    return found


def read_policy(answer: TestResponse) -> dict[str, str]:
    """Give the directives of the Content-Security-Policy by name."""
    return {
        directive.strip().partition(" ")[0]: directive.strip().partition(" ")[2]
        for directive in answer.headers["Content-Security-Policy"].split(";")
    }


def test_every_answer_says_what_browsers_may_not_do_with_it(answers: dict[str, TestResponse]) -> None:
    for kind, answer in answers.items():
        assert answer.headers.getlist("X-Content-Type-Options") == ["nosniff"], kind
        assert answer.headers["Referrer-Policy"] == "same-origin", kind
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin", kind
        assert answer.headers["X-Frame-Options"] == "DENY", kind
        policy = read_policy(answer)
        assert policy["default-src"] == "'none'", kind
        assert policy["frame-ancestors"] == "'none'", kind
        assert "unsafe" not in answer.headers["Content-Security-Policy"], kind
        assert "*" not in answer.headers["Content-Security-Policy"], kind
        assert re.fullmatch(r"req_\w+", answer.headers["X-Request-Id"]), kind
        assert "Access-Control-Allow-Origin" not in answer.headers, kind
        # There is no TLS here, and a browser that took this for true could not come back.
        assert HSTS not in answer.headers, kind
        if kind != "a script":
            assert answer.headers["Cache-Control"] == "no-store", kind


@pytest.mark.parametrize(("method", "path"), [("GET", "/static/0/no.js"), ("POST", "/static/0/scripts/page.js")])
def test_a_page_in_place_of_a_file_is_stored_nowhere(client: FlaskClient, method: str, path: str) -> None:
    answer = client.open(path, method=method)
    assert (answer.status_code, answer.mimetype) in {(404, "text/html"), (405, "text/html")}
    assert answer.headers.getlist("Cache-Control") == ["no-store"]


def test_every_page_keeps_to_itself(answers: dict[str, TestResponse]) -> None:
    for kind, answer in answers.items():
        if answer.mimetype == "text/html":
            assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin", kind
            assert "camera=()" in answer.headers["Permissions-Policy"], kind
            policy = read_policy(answer)
            assert (policy["script-src"], policy["base-uri"], policy["form-action"]) == ("'self'", "'none'", "'self'")
            assert answer.headers["Content-Type"] == "text/html; charset=utf-8", kind
    assert {answer.status_code for answer in answers.values() if answer.mimetype == "text/html"} >= {200, 404, 500}


def test_no_page_has_a_script_or_a_style_in_itself(answers: dict[str, TestResponse]) -> None:
    for kind, answer in answers.items():
        if answer.mimetype == "text/html":
            assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", answer.text), kind


class TestOverTls:
    """An application that is served over TLS alone."""

    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {"SECURE_COOKIES": "1"}

    def test_every_answer_asks_for_tls_from_then_on(self, answers: dict[str, TestResponse]) -> None:
        for kind, answer in answers.items():
            asked = re.fullmatch(r"max-age=(\d+); includeSubDomains", answer.headers[HSTS])
            assert asked, kind
            # A year at least (ASVS 5.0, 3.4.1).
            assert int(asked[1]) >= 31_536_000, kind

    def test_every_cookie_is_this_host_s_alone(self, client: FlaskClient) -> None:
        cookies = client.get("/login", base_url="https://localhost").headers.getlist("Set-Cookie")
        assert cookies
        for cookie in cookies:
            name, *attributes = cookie.split("; ")
            assert name.startswith("__Host-")
            assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(attributes)
            assert not any(attribute.startswith("Domain") for attribute in attributes)


def test_nobody_is_shown_their_own_request(client: FlaskClient) -> None:
    for path in ("/login", f"{API}/me"):
        assert client.open(path, method="TRACE").status_code == 405


def test_an_answer_to_options_says_no_more_than_the_methods(client: FlaskClient) -> None:
    answer = client.options(f"{API}/jobs")
    assert answer.status_code in {200, 401}
    assert not [name for name in answer.headers.keys() if name.startswith("Access-Control")]  # noqa: SIM118 - a Headers object iterates over pairs
