"""One's sessions, and proving again who one is."""

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from tests.accounts.steps import list_actions, log_in_by_form
from tests.factories import PASSWORD, Account, make_account, now
from webapp.accounts.models import LoginSession
from webapp.accounts.queries import list_live_sessions
from webapp.accounts.sessions import CONFIRMED_FOR
from webapp.authentication import LoginRequired, get_authentication
from webapp.core.db import db, transaction

COOKIE = "upcube_session"
DANGEROUS = {
    "dashboard.settings_email",
    "dashboard.settings_deletion",
    "dashboard.export",
    "dashboard.settings_authenticator",
    "dashboard.start_authenticator_app",
    "dashboard.remove_authenticator_app",
    "dashboard.make_recovery_codes",
    "dashboard.passkey_options",
    "dashboard.add_passkey",
    "dashboard.take_passkey_away",
}


@pytest.fixture(autouse=True)
def account(app: Flask) -> Account:
    with app.app_context():
        return make_account(email="ada@example.com")


@pytest.fixture
def visitor(app: Flask) -> FlaskClient:
    client = app.test_client()
    assert log_in_by_form(client) == 302
    return client


def let_confirmation_age(app: Flask) -> None:
    with app.app_context(), transaction() as session:
        session.execute(sa.update(LoginSession).values(authenticated_at=now() - CONFIRMED_FOR))


class TestList:
    """The page that lists them."""

    def test_it_names_the_browser_the_address_and_this_one(self, app: Flask, visitor: FlaskClient) -> None:
        other = app.test_client()
        browser = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
        other.post("/login", data={"email": "ada@example.com", "password": PASSWORD}, headers={"User-Agent": browser})
        page = visitor.get("/console/settings/sessions").text
        assert "Firefox on Linux" in page
        assert "127.0.0.1" in page
        assert page.count("This one") == 1

    def test_one_that_is_ended_is_over(self, app: Flask, visitor: FlaskClient) -> None:
        other = app.test_client()
        log_in_by_form(other)
        page = visitor.get("/console/settings/sessions").text
        [session_id] = re.findall(r"/console/settings/sessions/([0-9a-f]{64})/end", page)
        for _ in range(2):
            assert visitor.post(f"/console/settings/sessions/{session_id}/end").status_code == 302
        assert other.get("/console").status_code == 302
        assert visitor.get("/console").status_code == 200
        with app.app_context():
            assert list_actions().count("login.ended") == 1

    def test_nobody_ends_somebody_else_s(self, app: Flask, visitor: FlaskClient, account: Account) -> None:
        stranger = app.test_client()
        with app.app_context():
            make_account(email="eve@example.com")
            [session] = list_live_sessions(account.user_id, at=now())
        log_in_by_form(stranger, "eve@example.com")
        assert stranger.post(f"/console/settings/sessions/{session.id}/end").status_code == 404
        assert visitor.get("/console").status_code == 200

    def test_to_log_out_everywhere_ends_all_of_them(self, app: Flask, visitor: FlaskClient) -> None:
        other = app.test_client()
        log_in_by_form(other)
        assert visitor.post("/console/settings/sessions/end-all").headers["Location"] == "/login"
        for client in (visitor, other):
            assert client.get("/console").status_code == 302

    def test_its_last_use_is_noted_every_few_minutes_and_not_each_time(
        self, app: Flask, visitor: FlaskClient, account: Account
    ) -> None:
        def read() -> LoginSession:
            with app.app_context():
                return list_live_sessions(account.user_id, at=now())[0]

        first = read().last_seen_at
        visitor.get("/console")
        assert read().last_seen_at == first
        with app.app_context(), transaction() as session:
            session.execute(sa.update(LoginSession).values(last_seen_at=first - timedelta(minutes=6)))
        visitor.get("/console", environ_overrides={"REMOTE_ADDR": "192.0.2.1"})
        assert read().last_seen_at >= first
        assert read().address == "192.0.2.1"


class TestConfirmation:
    """What is dangerous asks again after a while."""

    def test_what_is_dangerous_is_declared_so(self, app: Flask) -> None:
        declared = {name: get_authentication(app, name) for name in app.view_functions}
        assert {name for name, found in declared.items() if found == LoginRequired(is_recent=True)} >= DANGEROUS

    def test_right_after_a_log_in_nothing_is_asked(self, visitor: FlaskClient) -> None:
        assert visitor.get("/console/settings/email").status_code == 200

    def test_later_the_password_is_asked_for_and_the_way_goes_on(self, app: Flask, visitor: FlaskClient) -> None:
        let_confirmation_age(app)
        answer = visitor.get("/console/settings/email")
        assert answer.headers["Location"] == "/console/confirm?next=/console/settings/email"
        assert visitor.get("/console/settings").status_code == 200
        assert visitor.post("/console/confirm", data={"password": "wrong"}).status_code == 422
        assert visitor.get("/console/settings/email").status_code == 302
        answer = visitor.post(answer.headers["Location"], data={"password": PASSWORD})
        assert answer.headers["Location"] == "/console/settings/email"
        assert visitor.get("/console/settings/email").status_code == 200
        with app.app_context():
            assert list_actions()[-2:] == ["login.failed", "login.confirmed"]

    def test_a_form_that_is_too_late_changes_nothing_and_leads_back_to_its_page(
        self, app: Flask, visitor: FlaskClient, account: Account
    ) -> None:
        let_confirmation_age(app)
        page = "http://localhost/console/settings/data/deletion"
        form = {"email": account.email}
        answer = visitor.post("/console/settings/data/deletion", data=form, headers={"Referer": page})
        assert answer.headers["Location"] == "/console/confirm?next=/console/settings/data/deletion"
        answer = visitor.post(
            "/console/settings/data/deletion", data=form, headers={"Referer": "https://evil.example/"}
        )
        assert answer.headers["Location"] == "/console/confirm?next=/console"
        assert visitor.get("/console").status_code == 200

    def test_it_closes_what_the_old_cookie_opened(self, app: Flask, visitor: FlaskClient) -> None:
        old = visitor.get_cookie(COOKIE)
        assert old
        assert visitor.post("/console/confirm", data={"password": PASSWORD}).status_code == 302
        thief = app.test_client()
        thief.set_cookie(COOKIE, old.value)
        assert thief.get("/console").status_code == 302
        assert visitor.get("/console").status_code == 200

    def test_guesses_come_to_an_end(self, visitor: FlaskClient) -> None:
        statuses = [visitor.post("/console/confirm", data={"password": "wrong"}).status_code for _ in range(11)]
        assert statuses == [422] * 10 + [429]


class TestCookies:
    """Over TLS."""

    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {"SECURE_COOKIES": "1"}

    def test_only_this_host_can_set_them_and_only_over_tls(self, app: Flask) -> None:
        client = app.test_client()
        answer = client.post(
            "/login", data={"email": "ada@example.com", "password": PASSWORD}, base_url="https://q.test"
        )
        cookies = answer.headers.getlist("Set-Cookie")
        assert {cookie.partition("=")[0] for cookie in cookies} == {"__Host-upcube_session", "__Host-upcube_device"}
        for cookie in cookies:
            assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
            assert "Domain" not in cookie


def test_neither_a_session_s_token_nor_a_cookie_is_in_the_database(app: Flask, visitor: FlaskClient) -> None:
    with visitor.session_transaction() as cookie:
        token = cookie["_user_id"]
    with app.app_context():
        assert token not in str([vars(row) for row in db.session.scalars(sa.select(LoginSession))])
