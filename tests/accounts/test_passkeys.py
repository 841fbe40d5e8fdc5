"""Passkeys against hostile browsers; tests/browser/test_passkeys.py has an honest one."""

import json

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.accounts.steps import get_user, list_actions, log_in_by_form
from tests.factories import Account, make_account, now
from webapp.accounts.audit import HERE, user_actor
from webapp.accounts.models import Passkey
from webapp.accounts.passkeys import (
    MAX_PASSKEYS,
    PasskeyError,
    RelyingParty,
    add_passkey,
    confirm_with_passkey,
    list_passkeys,
    log_in_with_passkey,
    new_challenge,
    register_passkey,
    remove_passkey,
    rename_passkey,
    start_authentication,
    start_registration,
    take_challenge,
)
from webapp.core.db import transaction
from webapp.core.errors import InvalidFieldsError, NotFoundError

PARTY = RelyingParty("localhost", "http://localhost:8000")


@pytest.fixture
def account(app: Flask) -> Account:
    with app.app_context():
        return make_account(email="ada@example.com")


def make_passkey(account: Account, name: str = "laptop") -> Passkey:
    """Put a passkey's row where the browser's would be."""
    user, count = get_user(account), len(list_passkeys(account.user_id))
    passkey = Passkey(
        id=f"passkey_{account.user_id[-20:]}{count}",
        user_id=account.user_id,
        credential_id=f"{account.user_id}{count}",
        public_key=b"x",
        sign_count=0,
        name=name,
        created_at=now(),
    )
    with transaction() as session:
        add_passkey(session, user=user, passkey=passkey, actor=user_actor(user, HERE), at=now())
    return passkey


@pytest.mark.usefixtures("context")
class TestChallenge:
    """What an answer must be to."""

    def test_it_is_good_once_and_for_its_purpose(self) -> None:
        challenge = new_challenge(purpose="authenticate")
        take_challenge(challenge, purpose="authenticate")
        with pytest.raises(PasskeyError):
            take_challenge(challenge, purpose="authenticate")
        with pytest.raises(PasskeyError):
            take_challenge(new_challenge(purpose="authenticate"), purpose="register user_1")

    def test_the_options_ask_for_a_passkey_that_is_found_by_itself_and_checks_its_user(self, account: Account) -> None:
        passkey = make_passkey(account)
        options = json.loads(start_registration(user=get_user(account), party=PARTY).options)
        assert options["rp"]["id"] == "localhost"
        assert options["authenticatorSelection"]["residentKey"] == "required"
        assert options["authenticatorSelection"]["userVerification"] == "required"
        assert [each["id"] for each in options["excludeCredentials"]] != [passkey.id]
        assert len(options["excludeCredentials"]) == 1
        asked = json.loads(start_authentication(party=PARTY).options)
        assert (asked["rpId"], asked["userVerification"]) == ("localhost", "required")
        # Nothing tells who has passkeys.
        assert asked["allowCredentials"] == []

    def test_an_answer_that_does_not_hold_is_on_the_record(self, account: Account) -> None:
        user, challenge = get_user(account), new_challenge(purpose="authenticate")
        with pytest.raises(PasskeyError):
            log_in_with_passkey(party=PARTY, challenge=challenge, response="{}", origin=HERE, at=now())
        with pytest.raises(PasskeyError):
            confirm_with_passkey(
                user=user, token="", party=PARTY, challenge=challenge, response="{}", origin=HERE, at=now()
            )
        assert list_actions()[-2:] == ["login.failed", "login.failed"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
answers = st.one_of(
    st.text(max_size=100),
    json_values.map(json.dumps),
    st.fixed_dictionaries(
        {
            "id": st.text(max_size=20),
            "rawId": json_values,
            "type": st.sampled_from(["public-key", "x"]) | json_values,
            "response": st.dictionaries(
                st.sampled_from(
                    [
                        "clientDataJSON",
                        "authenticatorData",
                        "attestationObject",
                        "signature",
                        "userHandle",
                        "transports",
                    ]
                ),
                st.sampled_from(["e30", "eyJ0eXBlIjoid2ViYXV0aG4uZ2V0In0", "AAAA", ""]) | json_values,
            ),
        }
    ).map(json.dumps),
)


@pytest.mark.usefixtures("context")
@settings(max_examples=150)
@given(answer=answers)
def test_whatever_a_browser_sends_is_a_refusal_and_never_a_crash(account: Account, answer: str) -> None:
    user = get_user(account)
    with pytest.raises(PasskeyError):
        log_in_with_passkey(
            party=PARTY, challenge=new_challenge(purpose="authenticate"), response=answer, origin=HERE, at=now()
        )
    with pytest.raises(PasskeyError):
        register_passkey(
            user=user,
            party=PARTY,
            challenge=new_challenge(purpose=f"register {user.id}"),
            response=answer,
            name="",
            actor=user_actor(user, HERE),
            at=now(),
        )


@pytest.mark.usefixtures("context")
class TestManagement:
    """Names, limits and removal."""

    def test_a_user_has_a_bounded_number(self, account: Account) -> None:
        for _ in range(MAX_PASSKEYS):
            make_passkey(account)
        with pytest.raises(PasskeyError, match="at most 20"):
            make_passkey(account)

    def test_one_is_renamed_and_removed_by_its_owner_alone(self, account: Account) -> None:
        passkey, eve = make_passkey(account), make_account(email="eve@example.com")
        stranger, owner = get_user(eve), get_user(account)
        theirs, ours = user_actor(stranger, HERE), user_actor(owner, HERE)
        with pytest.raises(NotFoundError):
            rename_passkey(user_id=stranger.id, passkey_id=passkey.id, name="mine", actor=theirs, at=now())
        with pytest.raises(NotFoundError):
            remove_passkey(user=stranger, passkey_id=passkey.id, actor=theirs, at=now())
        rename_passkey(user_id=owner.id, passkey_id=passkey.id, name="  phone ", actor=ours, at=now())
        assert [each.name for each in list_passkeys(account.user_id)] == ["phone"]
        remove_passkey(user=owner, passkey_id=passkey.id, actor=ours, at=now())
        assert list_passkeys(account.user_id) == []
        assert list_actions()[-3:] == ["passkey.added", "passkey.renamed", "passkey.removed"] or list_actions().count(
            "passkey.removed"
        )

    @pytest.mark.parametrize("name", ["x" * 81, "a\0b", "a\nb"])
    def test_a_name_is_one_short_line(self, account: Account, name: str) -> None:
        passkey = make_passkey(account)
        with pytest.raises(InvalidFieldsError):
            rename_passkey(
                user_id=account.user_id,
                passkey_id=passkey.id,
                name=name,
                actor=user_actor(get_user(account), HERE),
                at=now(),
            )


@pytest.mark.parametrize(
    ("host", "has_name"),
    [("localhost", True), ("q.example.com", True), ("127.0.0.1", False), ("::1", False), ("", False)],
)
def test_a_host_known_by_a_number_has_no_passkeys(host: str, *, has_name: bool) -> None:
    assert RelyingParty(host, "").has_name is has_name


def test_the_page_refuses_an_answer_without_a_challenge(app: Flask, client: FlaskClient, account: Account) -> None:
    assert client.post("/login/passkey", data={"response": "{}"}).status_code == 422
    log_in_by_form(client, account.email)
    assert client.post("/console/confirm/passkey", data={"response": "{}"}).status_code == 422
    assert client.post("/console/settings/second-factors/passkeys", data={"response": "{}"}).status_code == 302
    with app.app_context():
        assert list_passkeys(account.user_id) == []


@pytest.mark.parametrize("response", ["[" * 19_000, '{"id":' * 3_000])
def test_an_answer_nested_without_end_is_refused(client: FlaskClient, response: str) -> None:
    client.post("/login/passkey/options")
    assert client.post("/login/passkey", data={"response": response}).status_code == 422
