"""Log-in and log-out, through the pages and by the operations."""

from datetime import timedelta
from typing import Literal

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient

from tests.factories import PASSWORD, Account, make_account, now
from webapp.accounts import passwords
from webapp.accounts.audit import HERE, OPERATOR, Origin
from webapp.accounts.log_in import WrongLoginError, log_in
from webapp.accounts.operations import disable_user
from webapp.accounts.queries import get_live_session
from webapp.accounts.sessions import IDLE_LIFETIME, SESSION_LIFETIME, log_out, note_use

COOKIE = "upcube_session"


@pytest.fixture
def account(app: Flask) -> Account:
    with app.app_context():
        return make_account(email="ada@example.com")


@pytest.mark.usefixtures("context")
class TestOperations:
    """Sessions as the operations keep them."""

    def test_a_wrong_password_and_an_unknown_address_look_the_same(
        self, account: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        verified: list[str] = []

        class CountingHasher(PasswordHasher):
            """Notes what hashes it computes, which is what takes the time."""

            def verify(self, password_hash: str | bytes, password: str | bytes) -> Literal[True]:
                algorithm_and_costs = str(password_hash).rsplit("$", 2)[0]
                verified.append(algorithm_and_costs)
                return super().verify(password_hash, password)

        costs = passwords.hasher
        counting = CountingHasher(costs.time_cost, costs.memory_cost, costs.parallelism)
        monkeypatch.setattr(passwords, "hasher", counting)
        disabled = make_disabled()
        refusals = set()
        for email in (account.email, "nobody@example.com", "ada\0@example.com", "", "x" * 10_000, disabled.email):
            password = PASSWORD if email == disabled.email else "wrong password"
            with pytest.raises(WrongLoginError) as caught:
                log_in(email=email, password=password, origin=HERE, at=now())
            refusals.add((caught.value.status, caught.value.code, caught.value.message, caught.value.target))
        assert len(refusals) == 1
        # One hash each, and all of them as costly.
        assert len(verified) == 6
        assert len(set(verified)) == 1

    @pytest.mark.parametrize("password", ["", PASSWORD.upper(), PASSWORD + " ", PASSWORD[:-1], PASSWORD + "\0"])
    def test_a_password_is_right_to_the_letter(self, account: Account, password: str) -> None:
        with pytest.raises(WrongLoginError):
            log_in(email=account.email, password=password, origin=HERE, at=now())

    def test_a_session_ends_by_log_out_by_age_and_with_its_user(self, account: Account) -> None:
        at = now()

        def start() -> str:
            return log_in(email=" ADA@example.com", password=PASSWORD, origin=Origin("y" * 99, "x" * 999), at=at).token

        first, second, third = start(), start(), start()
        assert get_live_session(first, at=at) is not None
        assert get_live_session(first, at=at + IDLE_LIFETIME - timedelta(seconds=1)) is not None
        assert get_live_session(first, at=at + IDLE_LIFETIME) is None
        used_at = at + IDLE_LIFETIME - timedelta(seconds=1)
        found = get_live_session(first, at=used_at)
        assert found
        note_use(found, origin=HERE, at=used_at)
        late = at + SESSION_LIFETIME
        assert get_live_session(first, at=late - timedelta(seconds=2)) is not None
        assert get_live_session(first, at=late) is None
        log_out(token=first, origin=HERE, at=at)
        log_out(token=first, origin=HERE, at=at)
        log_out(token="of nobody", origin=HERE, at=at)
        assert get_live_session(first, at=at) is None
        assert get_live_session(second, at=at) is not None
        disable_user(email=account.email, actor=OPERATOR, at=at)
        assert get_live_session(second, at=at) is None
        assert get_live_session(third, at=at) is None

    @pytest.mark.parametrize("token", ["", "x", "\0", "é" * 1_000])
    def test_a_token_of_nobody_is_no_session(self, token: str) -> None:
        assert get_live_session(token, at=now()) is None


def make_disabled() -> Account:
    disabled = make_account(email="disabled@example.com")
    disable_user(email=disabled.email, actor=OPERATOR, at=now())
    return disabled


def log_in_page(client: FlaskClient, query: str = "") -> str:
    """Log Ada in and give where she is sent."""
    answer = client.post(f"/login{query}", data={"email": "ada@example.com", "password": PASSWORD})
    assert answer.status_code == 302, answer.text
    location: str = answer.headers["Location"]
    return location


@pytest.mark.usefixtures("account")
class TestPages:
    """Sessions as a browser has them."""

    def test_the_cookie_of_a_session_that_was_logged_out_is_refused(self, app: Flask, client: FlaskClient) -> None:
        log_in_page(client)
        old = client.get_cookie(COOKIE)
        assert old is not None
        assert (old.http_only, old.same_site) == (True, "Lax")
        thief = app.test_client()
        thief.set_cookie(COOKIE, old.value)
        assert thief.get("/console").status_code == 200
        assert client.post("/logout").status_code == 302
        assert client.get("/console").status_code == 302
        thief.set_cookie(COOKIE, old.value)
        answer = thief.get("/console")
        assert (answer.status_code, answer.headers["Location"]) == (302, "/login?next=/console")

    def test_a_log_in_changes_the_cookie(self, client: FlaskClient) -> None:
        cookies = set()
        for _ in range(2):
            log_in_page(client)
            cookie = client.get_cookie(COOKIE)
            assert cookie is not None
            cookies.add(cookie.value)
            client.post("/logout")
        assert len(cookies) == 2

    def test_a_forged_cookie_is_nobodys(self, client: FlaskClient) -> None:
        for value in ("x", "e30.x.y", "\x00", "=" * 4_000):
            client.set_cookie(COOKIE, value)
            assert client.get("/console").status_code == 302

    def test_log_out_cannot_be_reached_by_a_link(self, client: FlaskClient) -> None:
        log_in_page(client)
        assert client.get("/logout").status_code == 405
        assert client.get("/console").status_code == 200

    def test_next_never_leads_to_another_site(self, app: Flask) -> None:
        for target in (
            "https://evil.example",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/%09/evil.example",
            "/%0d%0aSet-Cookie:%20a=b",
            "%20//evil.example",
            "javascript:alert(1)",
            "evil.example",
            "http:evil.example",
            "/%00",
            "%2f%2fevil.example",
            "",
        ):
            assert log_in_page(app.test_client(), f"?next={target}") == "/console", target
        assert log_in_page(app.test_client(), "?next=/console/usage%3Fday=1") == "/console/usage?day=1"
        assert log_in_page(app.test_client(), "?next=/console/jobs&next=//evil.example") == "/console/jobs"

    def test_refusals_read_the_same(self, client: FlaskClient) -> None:
        pages = []
        for email in ("ada@example.com", "nobody@example.com", "a\0da@example.com", "not an address"):
            answer = client.post("/login", data={"email": email, "password": "wrong password"})
            assert answer.status_code == 422
            assert "The e-mail address or the password is wrong." in answer.text
            assert "wrong password" not in answer.text
            pages.append(answer.text.count("<"))
        assert len(set(pages)) == 1
        assert client.get("/console").status_code == 302
