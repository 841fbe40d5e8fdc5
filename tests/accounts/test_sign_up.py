"""Sign-up: what it takes, what it refuses, and that an address gets one account."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from tests.factories import PASSWORD, make_account, now
from webapp.accounts.audit import HERE, OPERATOR
from webapp.accounts.log_in import log_in
from webapp.accounts.models import Membership, Organisation, User
from webapp.accounts.operations import check_new_user, normalise_email
from webapp.accounts.queries import get_personal_organisation, get_user_by_email, list_users
from webapp.core.db import db
from webapp.core.errors import InvalidFieldsError
from webapp.ledger.queries import get_balance
from webapp.ledger.sign_up import sign_up
from webapp.metering.verify import verify

STARTING_MICROCREDITS = 100_000_000


def count(model: type) -> int:
    return db.session.scalar(sa.select(sa.func.count()).select_from(model)) or 0


def paths_of_problems(email: str, password: str) -> list[str]:
    try:
        check_new_user(normalise_email(email), password)
    except InvalidFieldsError as error:
        return [detail.path for detail in error.details]
    return []


@pytest.mark.parametrize(
    "email",
    [
        "",
        " ",
        "ada",
        "@",
        "ada@",
        "@example.com",
        "ada@@example.com",
        "ada@example..com",
        "ada@.example.com",
        "ada@example.com.",
        "ada b@example.com",
        "ada@exa mple.com",
        "ada@example.com\nBcc: all@example.com",
        "ada\r\n@example.com",
        "ada\0@example.com",
        "ada@example\x7f.com",
        "ada@example.com\u2028",
        "ada\u00a0b@example.com",
        "x" * 65 + "@example.com",
        "ada@" + "x" * 250 + ".com",
        "a@" + "b." * 100_000,
    ],
)
def test_what_cannot_be_an_address_is_refused(email: str) -> None:
    # strip() takes line separators off the end, as it does spaces.
    assert paths_of_problems(email, PASSWORD) == ([] if email.strip() == "ada@example.com" else ["email"])


@pytest.mark.parametrize(
    "email", ["a@b", "Ada@Example.COM", " ada@example.com ", "ada+tag@sub.example.co", "o'hara@x.ie", "ада@почта.рф"]
)
def test_what_can_be_an_address_is_taken(email: str) -> None:
    assert paths_of_problems(email, PASSWORD) == []


@pytest.mark.parametrize("password", ["", "short", "1234567", "x" * 257, "x" * 1_000_000])
def test_a_password_has_a_length(password: str) -> None:
    assert paths_of_problems("ada@example.com", password) == ["password"]


@pytest.mark.parametrize("password", ["73915864", " " * 8, "\0" * 8, "ключ ключ", "🔑" * 8, "x" * 256, "'; DROP --"])
def test_a_password_may_be_made_of_anything(password: str) -> None:
    assert paths_of_problems("ada@example.com", password) == []


@pytest.mark.parametrize(
    "password",
    ["ADA.lovelace@example.COM", "Ada.Lovelace1815", "UPCUBE-1234", "12345678", "Password1", "qwertyuiop"],
)
def test_a_password_that_would_be_guessed_first_is_refused(password: str) -> None:
    assert paths_of_problems("Ada.Lovelace@Example.com", password) == ["password"]


def test_a_good_password_may_have_the_name_in_it() -> None:
    assert paths_of_problems("ada.lovelace@example.com", "ada.lovelace wrote the first program") == []


def test_a_short_address_is_in_many_good_passwords() -> None:
    assert paths_of_problems("ada@example.com", "canada is a large country") == []


def test_everything_wrong_is_named_at_once() -> None:
    assert paths_of_problems("ada", "x") == ["email", "password"]


@pytest.mark.usefixtures("context")
class TestAccount:
    """What one sign-up makes."""

    def test_a_user_has_an_organisation_with_exactly_the_credits(self) -> None:
        account = make_account(microcredits=7, email="Ada@Example.com ")
        user = get_user_by_email("ADA@example.com")
        assert user.email == "ada@example.com"
        assert PASSWORD not in user.password_hash
        assert user.password_hash.startswith("$argon2id$")
        organisation = get_personal_organisation(user.id)
        assert organisation.id == account.organisation_id
        assert db.session.get_one(Membership, (user.id, organisation.id)).role == "owner"
        assert get_balance(organisation.id).available == 7

    @pytest.mark.parametrize("again", ["ada@example.com", "ADA@EXAMPLE.COM", "\tada@example.com\n"])
    def test_an_address_has_one_account_however_it_is_written(self, again: str) -> None:
        make_account(email="ada@example.com")
        with pytest.raises(InvalidFieldsError) as caught:
            make_account(email=again)
        [detail] = caught.value.details
        assert detail.path == "email"
        assert (count(User), count(Organisation), count(Membership)) == (1, 1, 1)
        assert verify() == []

    def test_a_grant_that_is_refused_makes_no_user(self) -> None:
        with pytest.raises(InvalidFieldsError):
            make_account(microcredits=10**15 + 1)
        assert (list_users(), count(Organisation)) == ([], 0)

    def test_a_password_of_any_bytes_lets_its_owner_in(self) -> None:
        password = "\0🔑 " + "é" * 50
        sign_up(
            email="ada@example.com",
            password=password,
            starting_microcredits=0,
            verified=False,
            actor=OPERATOR,
            at=now(),
        )
        assert log_in(email="ada@example.com", password=password, origin=HERE, at=now()).token


def test_of_identical_sign_ups_at_once_one_makes_an_account(app: Flask) -> None:
    writers = 4
    together = threading.Barrier(writers)

    def sign_up_once(_: int) -> str:
        client = app.test_client()
        together.wait(timeout=10)
        answer = client.post("/signup", data={"email": "ada@example.com", "password": PASSWORD})
        return f"{answer.status_code} {'already has an account' in answer.text}"

    with ThreadPoolExecutor(max_workers=writers) as threads:
        answers = sorted(threads.map(sign_up_once, range(writers)))
    assert answers == ["302 False", *["422 True"] * (writers - 1)]
    with app.app_context():
        [user] = list_users()
        assert (count(Organisation), count(Membership)) == (1, 1)
        assert get_balance(get_personal_organisation(user.id).id).granted == STARTING_MICROCREDITS
        assert verify() == []


def test_hostile_forms_are_refused_on_the_page(app: Flask, client: FlaskClient) -> None:
    forms: list[dict[str, str]] = [
        {},
        {"email": "ada@example.com"},
        {"password": PASSWORD},
        {"email": "ada\0@example.com", "password": PASSWORD},
        {"email": "<script>alert(1)</script>", "password": PASSWORD},
        {"email": "ada@example.com", "password": "short"},
        {"email": "ada@example.com", "password": "x" * 100_000},
        {"email": "x" * 100_000, "password": PASSWORD},
    ]
    for form in forms:
        answer = client.post("/signup", data=form)
        assert answer.status_code == 422, form
        assert "<script>alert" not in answer.text
        assert form.get("password", PASSWORD) not in answer.text
    assert client.post("/signup", data=b"email=%ff%fe&password=%ed%a0%80%ed%a0%80%ed%a0%80").status_code in {415, 422}
    with app.app_context():
        assert list_users() == []
