"""Codes of an authenticator app, and recovery codes."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from tests.accounts.steps import (
    add_authenticator,
    get_user,
    list_actions,
    list_subjects,
    log_in_by_form,
    make_code,
)
from tests.factories import PASSWORD, Account, make_account, now
from webapp.accounts.audit import HERE, user_actor
from webapp.accounts.log_in import (
    TICKET_LIFETIME,
    SecondFactorRequiredError,
    TicketOverError,
    finish_log_in,
    log_in,
    make_ticket,
)
from webapp.accounts.models import AuthenticatorApp, RecoveryCode
from webapp.accounts.second_factors import (
    AuthenticatorExistsError,
    WrongCodeError,
    confirm_authenticator,
    get_second_factors,
    make_uri,
    remove_authenticator,
    renew_recovery_codes,
    start_authenticator,
)
from webapp.accounts.sessions import NewSession
from webapp.accounts.throttle import TooManyAttemptsError
from webapp.core.db import db, transaction

# Long enough for the code that set the app up to be over.
LATER = timedelta(minutes=5)


@pytest.fixture
def account(app: Flask) -> Account:
    with app.app_context():
        return make_account(email="ada@example.com")


def get_ticket(account: Account) -> str:
    with pytest.raises(SecondFactorRequiredError) as caught:
        log_in(email=account.email, password=PASSWORD, origin=HERE, at=now() + LATER)
    return caught.value.ticket


def finish(account: Account, code: str, *, seconds: int = 0) -> NewSession:
    return finish_log_in(
        ticket=get_ticket(account), code=code, origin=HERE, at=now() + LATER + timedelta(seconds=seconds)
    )


@pytest.mark.usefixtures("context")
class TestAuthenticator:
    """The app's codes."""

    def test_the_codes_are_those_of_rfc_6238(self, account: Account) -> None:
        secret, at = start_authenticator(user_id=account.user_id, at=now()), now()
        user = get_user(account)
        assert re.fullmatch(r"[A-Z2-7]{32}", secret)
        uri = make_uri(secret, email=user.email)
        assert uri.startswith(f"otpauth://totp/Upcube:ada%40example.com?digits=6&secret={secret}")
        codes = confirm_authenticator(user=user, code=make_code(secret, at=at), actor=user_actor(user, HERE), at=at)
        assert len(set(codes)) == 10
        assert "authenticator.added" in list_actions()
        assert list_subjects(account.email) == ["An authenticator app was added"]

    def test_it_counts_only_once_a_first_code_was_right(self, account: Account) -> None:
        start_authenticator(user_id=account.user_id, at=now())
        user = get_user(account)
        with pytest.raises(WrongCodeError):
            confirm_authenticator(user=user, code="000000x", actor=user_actor(user, HERE), at=now())
        assert log_in(email=account.email, password=PASSWORD, origin=HERE, at=now()).token

    def test_a_password_alone_no_longer_logs_in(self, account: Account) -> None:
        secret, _ = add_authenticator(account)
        assert finish(account, make_code(secret, at=now() + LATER)).user_id == account.user_id

    def test_a_code_is_good_once_and_older_ones_no_more(self, account: Account) -> None:
        secret, _ = add_authenticator(account)
        at = now() + LATER
        assert finish(account, f" {make_code(secret, at=at)[:3]} {make_code(secret, at=at)[3:]}")
        for age in (0, 30):
            with pytest.raises(WrongCodeError):
                finish(account, make_code(secret, at=at - timedelta(seconds=age)))
        assert finish(account, make_code(secret, at=at + timedelta(seconds=30)), seconds=30)

    def test_the_code_that_set_it_up_logs_nobody_in(self, account: Account) -> None:
        at = now()
        secret, _ = add_authenticator(account, at=at)
        ticket = make_ticket(get_user(account), at=at)
        with pytest.raises(WrongCodeError):
            finish_log_in(ticket=ticket, code=make_code(secret, at=at), origin=HERE, at=at)

    @pytest.mark.parametrize("seconds", [-90, -61, 61, 90])
    def test_a_clock_may_be_wrong_by_half_a_minute_and_no_more(self, account: Account, seconds: int) -> None:
        secret, _ = add_authenticator(account)
        with pytest.raises(WrongCodeError):
            finish(account, make_code(secret, at=now() + LATER + timedelta(seconds=seconds)))

    @pytest.mark.parametrize("code", ["", "12345", "1234567", "١٢٣٤٥٦", "abcdef", "\0" * 6, "x" * 10_000])
    def test_what_is_no_code_is_refused(self, account: Account, code: str) -> None:
        add_authenticator(account)
        with pytest.raises(WrongCodeError):
            finish(account, code)

    def test_guesses_come_to_an_end(self, account: Account) -> None:
        secret, _ = add_authenticator(account)
        for _ in range(5):
            with pytest.raises(WrongCodeError):
                finish(account, "000000")
        with pytest.raises(TooManyAttemptsError):
            finish(account, make_code(secret, at=now() + LATER))
        assert list_actions().count("second_factor.failed") == 5

    def test_there_is_one_app_until_it_is_removed(self, account: Account) -> None:
        add_authenticator(account)
        with pytest.raises(AuthenticatorExistsError):
            start_authenticator(user_id=account.user_id, at=now())
        user = get_user(account)
        remove_authenticator(user=user, actor=user_actor(user, HERE), at=now())
        assert get_second_factors(account.user_id).unused_recovery_codes == 0
        assert log_in(email=account.email, password=PASSWORD, origin=HERE, at=now()).token
        assert list_subjects(account.email)[-1] == "Your authenticator app was removed"

    def test_neither_the_secret_nor_the_codes_are_readable_in_the_database(self, account: Account) -> None:
        secret, codes = add_authenticator(account)
        app = db.session.get_one(AuthenticatorApp, account.user_id)
        assert secret.encode() not in app.sealed_secret
        kept = str(list(db.session.scalars(sa.select(RecoveryCode.id))))
        assert not any(code in kept or code.replace("-", "") in kept for code in codes)


@pytest.mark.usefixtures("context")
class TestRecoveryCodes:
    """What stands in for a lost app."""

    def test_each_is_good_once_however_it_is_typed(self, account: Account) -> None:
        _, codes = add_authenticator(account)
        assert finish(account, codes[0])
        assert finish(account, f" {codes[1].upper().replace('-', ' ').replace('0', 'O')} ")
        for code in codes[:2]:
            with pytest.raises(WrongCodeError):
                finish(account, code)
        assert get_second_factors(account.user_id).unused_recovery_codes == 8
        assert list_subjects(account.email).count("A recovery code was used") == 2

    def test_new_ones_make_the_old_ones_worthless(self, account: Account) -> None:
        _, old = add_authenticator(account)
        user = get_user(account)
        new = renew_recovery_codes(user=user, actor=user_actor(user, HERE), at=now())
        with pytest.raises(WrongCodeError):
            finish(account, old[0])
        assert finish(account, new[0])

    def test_they_let_in_only_their_owner(self, account: Account) -> None:
        _, codes = add_authenticator(account)
        other = make_account(email="eve@example.com")
        add_authenticator(other)
        with pytest.raises(WrongCodeError):
            finish(other, codes[0])

    def test_they_still_work_when_the_secret_cannot_be_read(self, account: Account) -> None:
        _, codes = add_authenticator(account)
        with transaction() as session:
            session.execute(sa.update(AuthenticatorApp).values(sealed_secret=b"x" * 40))
        assert finish(account, codes[0])


def test_of_one_recovery_code_sent_many_times_at_once_one_logs_in(app: Flask, account: Account) -> None:
    with app.app_context():
        _, codes = add_authenticator(account)
        tickets = [get_ticket(account) for _ in range(4)]

    def try_code(ticket: str) -> bool:
        with app.app_context():
            try:
                finish_log_in(ticket=ticket, code=codes[0], origin=HERE, at=now() + LATER)
            except WrongCodeError:
                return False
            return True

    with ThreadPoolExecutor(max_workers=4) as threads:
        assert sorted(threads.map(try_code, tickets)) == [False, False, False, True]


@pytest.mark.usefixtures("context")
class TestTicket:
    """The proof between the two steps that the first was done."""

    def test_it_is_over_after_ten_minutes_and_with_another_password(self, account: Account) -> None:
        _, codes = add_authenticator(account)
        at = now()
        ticket = make_ticket(get_user(account), at=at)
        with pytest.raises(TicketOverError):
            finish_log_in(ticket=ticket, code=codes[0], origin=HERE, at=at + TICKET_LIFETIME)
        with transaction() as session:
            session.get_one(type(get_user(account)), account.user_id).password_hash = "another"
        with pytest.raises(TicketOverError):
            finish_log_in(ticket=ticket, code=codes[0], origin=HERE, at=at)

    @pytest.mark.parametrize("change", ["", "x", "..", "user.1.é", "{id}.99999999999.x", "{id}.²."])
    def test_one_that_was_made_up_is_refused(self, account: Account, change: str) -> None:
        with pytest.raises(TicketOverError):
            finish_log_in(ticket=change.replace("{id}", account.user_id), code="000000", origin=HERE, at=now())


def test_the_pages_ask_for_the_code_and_open_nothing_before(app: Flask, client: FlaskClient, account: Account) -> None:
    with app.app_context():
        _, codes = add_authenticator(account)
    answer = client.post("/login?next=/console/jobs", data={"email": account.email, "password": PASSWORD})
    assert answer.headers["Location"] == "/login/code?next=/console/jobs"
    assert client.get("/console").status_code == 302
    assert client.post("/login/code", data={"code": "wrong"}).status_code == 422
    answer = client.post("/login/code?next=/console/jobs", data={"code": codes[0]})
    assert answer.headers["Location"] == "/console/jobs"
    assert client.get("/console").status_code == 200
    assert app.test_client().get("/login/code").headers["Location"] == "/login"
    assert log_in_by_form(app.test_client(), password="wrong") == 422
