"""Resets by mail, and changes by somebody who knows the password."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Literal

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient

from tests.accounts.steps import add_authenticator, get_user, list_actions, list_subjects, log_in_by_form, read_link
from tests.accounts.test_passkeys import make_passkey
from tests.factories import PASSWORD, Account, make_account, now
from webapp.accounts import passwords
from webapp.accounts.audit import HERE, OPERATOR, user_actor
from webapp.accounts.links import LIFETIMES, LinkOverError, Purpose
from webapp.accounts.models import EmailLink, ResetRequest
from webapp.accounts.operations import disable_user
from webapp.accounts.passkeys import list_passkeys
from webapp.accounts.password_changes import answer_reset_requests, ask_reset, change_password, reset_password
from webapp.accounts.queries import get_user_by_email, list_live_sessions
from webapp.core.db import db
from webapp.core.errors import InvalidFieldsError
from webapp.ledger.sign_up import sign_up
from webapp.mail.models import MailMessage

NEW = "another good phrase"
SITE = "http://q.test"


@pytest.fixture
def account(app: Flask) -> Account:
    with app.app_context():
        return make_account(email="ada@example.com")


def ask(email: str = "ada@example.com") -> int:
    ask_reset(email=email, site_url=SITE, origin=HERE, at=now())
    return answer_reset_requests(at=now())


def reset(token: str, password: str = NEW, *, later: timedelta = timedelta()) -> None:
    reset_password(token=token, password=password, origin=HERE, at=now() + later)


@pytest.mark.usefixtures("context")
class TestReset:
    """A new password for who reads the account's mail."""

    def test_a_link_sets_a_password_once(self, app: Flask, account: Account) -> None:
        assert ask(" ADA@example.com ") == 1
        token = read_link(account.email)
        reset(token)
        with pytest.raises(LinkOverError):
            reset(token, "yet another phrase")
        assert log_in_by_form(app.test_client(), password=PASSWORD) == 422
        assert log_in_by_form(app.test_client(), password=NEW) == 302
        assert list_subjects(account.email) == ["Choose a new password", "Your password was changed"]
        assert [each for each in list_actions() if "password" in each] == ["password.reset_asked", "password.reset"]

    def test_a_link_is_over_after_half_an_hour(self, account: Account) -> None:
        ask()
        token = read_link(account.email)
        with pytest.raises(LinkOverError):
            reset(token, later=LIFETIMES[Purpose.RESET])
        reset(token, later=LIFETIMES[Purpose.RESET] - timedelta(seconds=10))

    def test_a_password_that_is_refused_leaves_the_link_good(self, account: Account) -> None:
        ask()
        token = read_link(account.email)
        with pytest.raises(InvalidFieldsError):
            reset(token, "12345678")
        reset(token)

    def test_somebody_else_s_asking_leaves_the_owner_s_link_good(self, account: Account) -> None:
        ask()
        token = read_link(account.email)
        ask()
        reset(token)

    def test_only_the_hash_of_a_link_is_kept(self, account: Account) -> None:
        ask()
        token = read_link(account.email)
        kept = [vars(row) for model in (EmailLink, MailMessage) for row in db.session.scalars(sa.select(model))]
        assert token not in str(kept)

    def test_nobody_is_written_to_who_has_no_account_or_a_disabled_one(self, account: Account) -> None:
        assert ask("nobody@example.com") == 0
        disable_user(email=account.email, actor=OPERATOR, at=now())
        assert ask() == 0
        assert list(db.session.scalars(sa.select(MailMessage))) == []
        assert list(db.session.scalars(sa.select(ResetRequest))) == []


def test_a_reset_ends_all_sessions_and_other_links_and_leaves_the_second_factor(app: Flask, account: Account) -> None:
    client = app.test_client()
    log_in_by_form(client)
    with app.app_context():
        add_authenticator(account)
        ask()
        first = read_link(account.email)
        ask()
        reset(read_link(account.email))
        assert list_live_sessions(account.user_id, at=now()) == []
        with pytest.raises(LinkOverError):
            reset(first)
    assert client.get("/console").status_code == 302
    answer = client.post("/login", data={"email": account.email, "password": NEW})
    assert answer.headers["Location"] == "/login/code"


def test_of_a_link_used_many_times_at_once_one_sets_the_password(app: Flask, account: Account) -> None:
    with app.app_context():
        ask()
        token = read_link(account.email)

    def use(number: int) -> int:
        with app.app_context():
            try:
                reset(token, f"another good phrase {number}")
            except LinkOverError:
                return 0
            return 1

    with ThreadPoolExecutor(max_workers=4) as threads:
        assert sum(threads.map(use, range(4))) == 1


def test_two_workers_answer_a_request_once(app: Flask, account: Account) -> None:
    with app.app_context():
        ask_reset(email=account.email, site_url=SITE, origin=HERE, at=now())

    def answer(_: int) -> int:
        with app.app_context():
            return answer_reset_requests(at=now())

    with ThreadPoolExecutor(max_workers=4) as threads:
        assert sum(threads.map(answer, range(4))) == 1


@pytest.mark.usefixtures("account")
class TestPages:
    """Resets as a browser sees them."""

    def test_the_answer_and_the_work_are_the_same_whoever_has_the_address(self, app: Flask) -> None:
        answers, statements = [], []
        with app.app_context():
            engine = db.engine
        for email in ("ada@example.com", "eve@example.com"):
            ran: list[str] = []

            def note(_connection: object, _cursor: object, statement: str, *_: object, ran: list[str] = ran) -> None:
                ran.append(statement)

            sa.event.listen(engine, "before_cursor_execute", note)
            answer = app.test_client().post("/reset", data={"email": email})
            sa.event.remove(engine, "before_cursor_execute", note)
            answers.append((answer.status_code, answer.text.replace(email, "")))
            statements.append(ran)
        assert answers[0] == answers[1]
        assert "a link is on its way" in answers[0][1]
        # The very same statements: there is nothing to measure.
        assert statements[0] == statements[1] != []

    def test_asking_comes_to_an_end_whoever_has_the_address(self, app: Flask) -> None:
        for email in ("ada@example.com", "nobody@example.com"):
            statuses = [app.test_client().post("/reset", data={"email": email}).status_code for _ in range(4)]
            assert statuses == [200, 200, 200, 429]

    def test_the_token_leaves_the_address_and_a_look_uses_nothing_up(self, app: Flask) -> None:
        with app.app_context():
            ask()
            token = read_link("ada@example.com")
        for _ in range(3):
            scanner = app.test_client()
            answer = scanner.get(f"/reset/{token}")
            assert answer.headers["Location"] == "/reset/password"
            assert scanner.get("/reset/password").status_code == 200
        browser = app.test_client()
        page = browser.get(f"/reset/{token}", follow_redirects=True)
        assert token not in page.text
        assert browser.post("/reset/password", data={"password": "short"}).status_code == 422
        answer = browser.post("/reset/password", data={"password": NEW})
        assert answer.headers["Location"] == "/login"
        assert "Your password is changed" in browser.get("/login").text
        assert browser.get("/reset/password").status_code == 410
        assert scanner.post("/reset/password", data={"password": PASSWORD}).status_code == 410

    @pytest.mark.parametrize("token", ["x", "%00", "é" * 200, "password%2f", "x" * 2_000])
    def test_a_link_that_never_was_is_over(self, client: FlaskClient, token: str) -> None:
        assert client.get(f"/reset/{token}").status_code in {404, 410}

    def test_a_change_asks_for_the_old_password_and_names_all_that_is_wrong(self, app: Flask) -> None:
        client, other = app.test_client(), app.test_client()
        log_in_by_form(client)
        log_in_by_form(other)
        old_cookie = client.get_cookie("upcube_session")
        answer = client.post("/console/settings/password", data={"current": "wrong", "password": "12345678"})
        assert answer.status_code == 422
        assert "The password is wrong." in answer.text
        assert "guessed first" in answer.text
        assert log_in_by_form(app.test_client()) == 302
        answer = client.post("/console/settings/password", data={"current": PASSWORD, "password": NEW})
        assert answer.status_code == 302
        assert client.get("/console").status_code == 200
        # Every other session ended, and so did this one under its old token.
        assert other.get("/console").status_code == 302
        thief = app.test_client()
        assert old_cookie
        thief.set_cookie("upcube_session", old_cookie.value)
        assert thief.get("/console").status_code == 302
        with app.app_context():
            assert list_subjects("ada@example.com") == ["Your password was changed"]
            assert "password.changed" in list_actions()

    def test_guessing_the_old_password_comes_to_an_end(self, client: FlaskClient) -> None:
        log_in_by_form(client)
        form = {"current": "wrong", "password": NEW}
        statuses = [client.post("/console/settings/password", data=form).status_code for _ in range(11)]
        assert statuses == [422] * 10 + [429]


class Interrupted(PasswordHasher):
    """Checks a password, and lets something happen before it says what it found."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.meanwhile = meanwhile

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 - the library's name
        found = super().verify(hash, password)
        self.meanwhile()
        return found


@pytest.fixture
def reset_meanwhile(app: Flask, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the account's owner reset their password while somebody's old one is being checked."""
    with app.app_context():
        ask()
        token = read_link(account.email)

    def reset_now() -> None:
        monkeypatch.undo()
        with app.app_context():
            reset(token)

    monkeypatch.setattr(passwords, "hasher", Interrupted(reset_now))


@pytest.mark.usefixtures("reset_meanwhile")
class TestOldPasswordMeanwhile:
    """A password that is right when its check begins, and no more when it ends."""

    def test_it_starts_no_session(self, app: Flask, client: FlaskClient, account: Account) -> None:
        assert log_in_by_form(client) == 422
        with app.app_context():
            assert list_live_sessions(account.user_id, at=now()) == []

    def test_it_does_not_set_another(self, app: Flask, account: Account) -> None:
        with app.app_context():
            user = get_user(account)
            with pytest.raises(InvalidFieldsError):
                change_password(
                    user=user,
                    token="any",
                    current=PASSWORD,
                    password="a thief's phrase",
                    actor=user_actor(user, HERE),
                    at=now(),
                )
        assert log_in_by_form(app.test_client(), password=NEW) == 302


class TestStrangerWhoSignedUp:
    """Somebody signs up with another's address, and waits for its owner to come."""

    def test_the_owner_s_reset_leaves_them_no_way_in_and_the_owner_one(self, app: Flask) -> None:
        with app.app_context():
            sign_up(
                email="ada@example.com",
                password=PASSWORD,
                starting_microcredits=0,
                verified=False,
                actor=OPERATOR,
                at=now(),
            )
            stranger = get_user_by_email("ada@example.com")
            account = Account(stranger.email, stranger.id, "", "")
            add_authenticator(account)
            make_passkey(account)
            ask()
            reset(read_link(account.email))
            assert list_passkeys(account.user_id) == []
            assert set(list_actions()[-3:]) == {"passkey.removed", "authenticator.removed", "password.reset"}
        assert log_in_by_form(app.test_client(), password=NEW) == 302

    def test_a_verified_account_keeps_its_passkeys(self, app: Flask, account: Account) -> None:
        with app.app_context():
            make_passkey(account)
            ask()
            reset(read_link(account.email))
            assert len(list_passkeys(account.user_id)) == 1
