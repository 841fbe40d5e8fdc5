"""Passwords known from breaches, asked of a real server that speaks the protocol."""

import hashlib
import logging
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from tests.accounts.steps import read_link
from tests.factories import PASSWORD, log_in, make_account, now
from webapp.accounts import breaches
from webapp.accounts.breaches import breached_passwords
from webapp.accounts.models import User
from webapp.accounts.password_changes import answer_reset_requests
from webapp.accounts.passwords import check_password_rules
from webapp.core.db import db

BREACHED = "orange bicycle 1987"
PADDING = "only of padding 3"


class Service(ThreadingHTTPServer):
    """Answers as Have I Been Pwned does, and remembers what it was told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str | None]] = []
        self.status = 200
        self.location = ""
        self.hangs = threading.Event()
        self.answers = threading.Event()
        self.answers.set()


class Handler(BaseHTTPRequestHandler):
    server: Service

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Add-Padding")))
        self.server.answers.wait(10)
        digests = {digest_of(BREACHED): 37, digest_of(PADDING): 0, "0" * 40: 1}
        prefix = self.path.rpartition("/")[2]
        lines = [f"{digest[5:]}:{count}" for digest, count in digests.items() if digest.startswith(prefix)]
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.end_headers()
        self.wfile.write("\r\n".join([*lines, f"{'F' * 35}:0"]).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def digest_of(password: str) -> str:
    return hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as service:
        thread = threading.Thread(target=service.serve_forever)
        thread.start()
        yield service
        service.answers.set()
        service.shutdown()
        thread.join()


@pytest.fixture
def environ(service: Service) -> dict[str, str]:
    return {"BREACHED_PASSWORDS_URL": f"http://127.0.0.1:{service.server_port}/range"}


@pytest.mark.usefixtures("app")
class TestService:
    """What the service is told, and what is made of its answer."""

    def test_five_digits_leave_and_padding_counts_for_nothing(self, service: Service) -> None:
        found = [check_password_rules(each, email="ada@example.com") for each in (BREACHED, PADDING, PASSWORD)]
        assert [problem and problem.path for problem in found] == ["password", None, None]
        assert all(re.fullmatch("/range/[0-9A-F]{5}", path) for path, _ in service.asked)
        assert {padding for _, padding in service.asked} == {"true"}

    def test_what_we_refuse_ourselves_is_not_asked_for(self, service: Service) -> None:
        for refused in ("short", "password", "x" * 300):
            assert check_password_rules(refused, email="ada@example.com")
        assert service.asked == []

    def test_a_service_that_hangs_or_fails_stops_nobody(
        self, service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(breaches, "TIMEOUT_SECONDS", 0.05)
        service.answers.clear()
        with caplog.at_level(logging.WARNING):
            assert check_password_rules(BREACHED, email="ada@example.com") is None
        assert "does not answer: TimeoutError" in caplog.text
        assert digest_of(BREACHED)[:5] not in caplog.text
        # It is left alone for a while.
        assert check_password_rules(BREACHED, email="ada@example.com") is None
        assert len(service.asked) == 1
        service.answers.set()
        service.status = 503
        monkeypatch.setattr(breaches, "TIMEOUT_SECONDS", 5)
        monkeypatch.setattr(breached_passwords, "_away_until", 0.0)
        assert check_password_rules(BREACHED, email="ada@example.com") is None
        assert "does not answer: HTTPError" in caplog.text

    @pytest.mark.parametrize("location", ["/range/again", "http://[::1", "http://" + "a" * 70 + ".example/"])
    def test_a_service_that_leads_elsewhere_is_not_followed(self, service: Service, location: str) -> None:
        service.status, service.location = 302, location
        assert check_password_rules(BREACHED, email="ada@example.com") is None
        assert len(service.asked) == 1

    def test_an_answer_that_never_ends_is_not_waited_for(self) -> None:
        class Endless:
            def read1(self, _size: int) -> bytes:
                return b"x"

        with pytest.raises(TimeoutError):
            breaches.read_answer(Endless(), ends=0.0)  # type: ignore[arg-type]  # only what is read of it


def test_it_is_asked_at_sign_up_at_a_change_and_at_a_reset(app: Flask, client: FlaskClient, service: Service) -> None:
    said = "known from a breach"
    answer = client.post("/signup", data={"email": "ada@example.com", "password": BREACHED})
    assert (answer.status_code, said in answer.text) == (422, True)
    with app.app_context():
        assert db.session.scalar(select(User)) is None
        account = make_account()
    log_in(client, account)
    form = {"current": PASSWORD, "password": BREACHED}
    assert said in client.post("/console/settings/password", data=form).text
    client.post("/logout")
    client.post("/reset", data={"email": account.email})
    with app.app_context():
        answer_reset_requests(at=now())
        link = read_link(account.email)
    client.get(f"/reset/{link}")
    assert said in client.post("/reset/password", data={"password": BREACHED}).text
    # A password that is good was asked for as well.
    assert [path for path, _ in service.asked].count(f"/range/{digest_of(BREACHED)[:5]}") == 3
    assert len(service.asked) == 4


def test_no_service_is_asked_unless_one_is_named(service: Service, app: Flask) -> None:
    assert app
    breached_passwords.use("")
    assert check_password_rules(BREACHED, email="ada@example.com") is None
    assert service.asked == []
