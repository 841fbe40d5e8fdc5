"""Verification of addresses, and their change."""

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from tests.accounts.steps import get_user, list_actions, list_subjects, log_in_by_form, read_link
from tests.factories import PASSWORD, Account, make_account, now
from webapp.accounts.audit import HERE, user_actor
from webapp.accounts.email_addresses import ask_email_change, open_link
from webapp.accounts.links import LinkOverError
from webapp.accounts.models import EmailLink, User
from webapp.accounts.queries import get_personal_organisation
from webapp.accounts.throttle import TooManyAttemptsError
from webapp.core.db import db
from webapp.core.errors import InvalidFieldsError
from webapp.keys.queries import list_keys

EMAIL = "ada@example.com"


def sign_up(client: FlaskClient, email: str = EMAIL) -> None:
    assert client.post("/signup", data={"email": email, "password": PASSWORD}).status_code == 302


def find_user(app: Flask, email: str = EMAIL) -> User | None:
    with app.app_context():
        return db.session.scalar(sa.select(User).where(User.email == email))


class TestVerification:
    """A link that is mailed at sign-up."""

    def test_the_link_verifies_by_a_click_and_not_by_a_look(self, app: Flask, client: FlaskClient) -> None:
        sign_up(client)
        with app.app_context():
            token = read_link(EMAIL)
        assert client.get(f"/verify/{token}").headers["Location"] == "/verify"
        page = client.get("/verify")
        assert EMAIL in page.text
        assert token not in page.text
        user = find_user(app)
        assert user
        assert user.email_verified_at is None
        assert client.post("/verify").headers["Location"] == "/console/settings"
        user = find_user(app)
        assert user
        assert user.email_verified_at
        assert client.get(f"/verify/{token}").status_code == 410
        with app.app_context():
            assert list_actions()[-1] == "email.verified"

    def test_another_link_can_be_asked_for_a_few_times(self, app: Flask, client: FlaskClient) -> None:
        sign_up(client)
        statuses = [client.post("/console/settings/verification").status_code for _ in range(4)]
        assert statuses == [302, 302, 302, 429]
        with app.app_context():
            open_link(token=read_link(EMAIL), origin=HERE, at=now())
        assert client.post("/console/settings/verification").status_code == 302
        with app.app_context():
            assert list_subjects(EMAIL) == ["Confirm your e-mail address"] * 4

    def test_a_reset_token_verifies_nothing(self, app: Flask, client: FlaskClient) -> None:
        sign_up(client)
        with app.app_context():
            token = read_link(EMAIL)
        assert client.get(f"/reset/{token}").status_code == 410


class TestRequired:
    """What is only for verified addresses, where the operator wants it so."""

    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {"REQUIRE_VERIFIED_EMAIL": "1"}

    def test_keys_wait_for_it_and_nothing_else_does(self, app: Flask, client: FlaskClient) -> None:
        sign_up(client)
        assert "Confirm your address to make API keys" in client.get("/console").text
        form = {"name": "laptop", "scopes": "jobs:write"}
        answer = client.post("/console/api-keys", data=form)
        assert answer.status_code == 422
        assert "Confirm your e-mail address first" in answer.text
        with app.app_context():
            user = open_link(token=read_link(EMAIL), origin=HERE, at=now())
            organisation_id = get_personal_organisation(user.id).id
            assert list_keys(organisation_id) == []
        assert "Confirm your address" not in client.get("/console").text
        assert client.post("/console/api-keys", data=form).status_code == 200


def test_without_mail_a_newcomer_needs_no_verification(client: FlaskClient) -> None:
    sign_up(client)
    assert "Confirm your address" not in client.get("/console").text
    assert client.post("/console/api-keys", data={"name": "laptop", "scopes": "jobs:write"}).status_code == 200


@pytest.fixture
def account(app: Flask) -> Account:
    with app.app_context():
        return make_account(email=EMAIL)


def ask_change(account: Account, email: str) -> str:
    user = get_user(account)
    ask_email_change(user=user, email=email, site_url="http://q.test", actor=user_actor(user, HERE), at=now())
    return read_link(email.lower())


@pytest.mark.usefixtures("context")
class TestChange:
    """Another address."""

    def test_it_changes_once_the_new_address_says_so_and_the_old_one_is_told(self, account: Account) -> None:
        token = ask_change(account, "Countess@example.com")
        assert get_user(account).email == EMAIL
        open_link(token=token, origin=HERE, at=now())
        assert get_user(account).email == "countess@example.com"
        assert get_personal_organisation(account.user_id).name == "countess@example.com"
        assert list_subjects(EMAIL) == ["Your e-mail address is about to change", "Your e-mail address has changed"]
        assert list_actions()[-2:] == ["email.change_asked", "email.changed"]
        with pytest.raises(LinkOverError):
            open_link(token=token, origin=HERE, at=now())

    def test_only_the_last_one_asked_for_counts(self, account: Account) -> None:
        first, second = ask_change(account, "first@example.com"), ask_change(account, "second@example.com")
        with pytest.raises(LinkOverError):
            open_link(token=first, origin=HERE, at=now())
        assert open_link(token=second, origin=HERE, at=now()).email == "second@example.com"

    def test_an_address_that_somebody_took_meanwhile_is_refused(self, account: Account) -> None:
        token = ask_change(account, "eve@example.com")
        make_account(email="eve@example.com")
        with pytest.raises(InvalidFieldsError):
            open_link(token=token, origin=HERE, at=now())
        assert get_user(account).email == EMAIL

    @pytest.mark.parametrize("email", ["", "nobody", EMAIL, "a,b@example.com", "eve@example.com"])
    def test_an_impossible_a_taken_and_the_same_address_are_refused(self, account: Account, email: str) -> None:
        make_account(email="eve@example.com")
        with pytest.raises(InvalidFieldsError):
            ask_change(account, email)
        assert list(db.session.scalars(sa.select(EmailLink))) == []

    def test_nobody_can_have_a_stranger_written_to_again_and_again(self, account: Account) -> None:
        for _ in range(3):
            ask_change(account, "stranger@example.com")
        with pytest.raises(TooManyAttemptsError):
            ask_change(account, "stranger@example.com")


def test_a_change_on_the_page(app: Flask, client: FlaskClient, account: Account) -> None:
    log_in_by_form(client)
    assert client.post("/console/settings/email", data={"email": "nobody"}).status_code == 422
    assert client.post("/console/settings/email", data={"email": "new@example.com"}).status_code == 302
    with app.app_context():
        token = read_link("new@example.com")
    client.get(f"/verify/{token}")
    assert client.post("/verify").status_code == 302
    assert "new@example.com" in client.get("/console/settings").text
    assert log_in_by_form(app.test_client(), account.email) == 422
    assert log_in_by_form(app.test_client(), "new@example.com") == 302
