"""The end of an account."""

import signal
import subprocess
import sys

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from config import ROOT, Settings
from tests.accounts.steps import add_authenticator, get_user, list_subjects, log_in_by_form
from tests.factories import API, PASSWORD, Account, Key, invite_by_mail, make_account, make_key, now
from tests.live import environment, free_port
from webapp.accounts.audit import HERE, OPERATOR, user_actor
from webapp.accounts.invitations import InvitationOverError, accept
from webapp.accounts.models import AuthenticatorApp, LoginSession, Membership, Organisation, RecoveryCode, User
from webapp.core import redis_names as names
from webapp.core.db import db, transaction
from webapp.core.errors import StoreAwayError
from webapp.core.redis import store
from webapp.jobs.models import Job, JobTag, SavedAnswer
from webapp.keys.models import ApiKey
from webapp.ledger.queries import list_transfers
from webapp.metering.flush import flush
from webapp.metering.verify import verify
from webapp.privacy.deletion import LastOwnerError, delete_account


@pytest.fixture
def account(app: Flask) -> Account:
    with app.app_context():
        return make_account(email="ada@example.com")


@pytest.fixture
def key(app: Flask, account: Account, client: FlaskClient) -> Key:
    with app.app_context():
        key = make_key(account, name="Ada's laptop")
    words = {"name": "Ada's job", "tags": ["Ada's"], "metadata": {"whose": "Ada's"}}
    key_headers = key.headers | {"Idempotency-Key": "once"}
    body = {"templateId": "bell-state", "shots": 1000, **words}
    assert client.post(f"{API}/jobs", json=body, headers=key_headers).status_code == 201
    return key


def delete(account: Account) -> None:
    delete_account(user_id=account.user_id, actor=user_actor(get_user(account), HERE), at=now())


def test_the_page_wants_the_address_typed(app: Flask, client: FlaskClient, account: Account) -> None:
    log_in_by_form(client)
    for typed in ("", "ada", "eve@example.com"):
        assert client.post("/console/settings/data/deletion", data={"email": typed}).status_code == 422
    assert client.get("/console").status_code == 200
    answer = client.post("/console/settings/data/deletion", data={"email": " Ada@example.com"})
    assert answer.headers["Location"] == "/login"
    assert "Your account is deleted." in client.get("/login").text
    assert log_in_by_form(app.test_client()) == 422
    with app.app_context():
        assert list_subjects(account.email) == ["Your account is deleted"]


def test_keys_and_sessions_end_at_once_and_what_is_personal_is_gone(
    app: Flask, client: FlaskClient, account: Account, key: Key
) -> None:
    browser = app.test_client()
    log_in_by_form(browser)
    with app.app_context():
        add_authenticator(account)
        delete(account)
    assert client.get(f"{API}/me", headers=key.headers).status_code == 403
    assert browser.get("/console").status_code == 302
    with app.app_context():
        user = get_user(account)
        assert user.email == f"deleted-{user.id}@deleted.invalid"
        assert user.deleted_at
        organisation = db.session.get_one(Organisation, account.organisation_id)
        assert (organisation.name, organisation.disabled_at is not None) == ("Deleted", True)
        for model in (LoginSession, AuthenticatorApp, RecoveryCode):
            assert list(db.session.scalars(sa.select(model))) == []
        row = db.session.scalars(sa.select(ApiKey)).one()
        assert (row.name, row.revoked_at is not None) == ("Deleted", True)
        kept = [
            vars(each)
            for model in (User, Organisation, ApiKey, Job, JobTag, SavedAnswer)
            for each in db.session.scalars(sa.select(model))
        ]
        assert "Ada" not in str(kept)
        assert "ada@" not in str(kept)


def test_the_ledger_stays_exact(app: Flask, account: Account, key: Key) -> None:
    assert key
    with app.app_context():
        delete(account)
        flush(at=now())
        assert verify() == []
        assert [line.reason for line in list_transfers(account.organisation_id, limit=5).rows][-1] == "Starting credits"


def test_the_address_is_free_again(app: Flask, client: FlaskClient, account: Account) -> None:
    with app.app_context():
        delete(account)
    assert client.post("/signup", data={"email": account.email, "password": PASSWORD}).status_code == 302


def test_nothing_is_deleted_while_redis_is_away(app: Flask, account: Account, key: Key, redis_url: str) -> None:
    with app.app_context():
        store.connect(f"redis://127.0.0.1:{free_port()}")
        with pytest.raises(StoreAwayError):
            delete(account)
        store.connect(redis_url)
        assert get_user(account).email == account.email
    assert app.test_client().get(f"{API}/me", headers=key.headers).status_code == 200


def test_a_process_that_dies_in_the_middle_leaves_the_account_to_be_deleted_again(
    app: Flask, settings: Settings, account: Account, key: Key
) -> None:
    program = (
        "import wsgi; from webapp.accounts.audit import OPERATOR; from webapp.core import clock;"
        "from webapp.privacy.deletion import delete_account; wsgi.app.app_context().push();"
        f"delete_account(user_id={account.user_id!r}, actor=OPERATOR, at=clock.now())"
    )
    killed = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment(settings, UPCUBE_FAULT="deletion_before_commit"),
        check=False,
        timeout=30,
    )
    assert killed.returncode == -signal.SIGKILL
    client = app.test_client()
    # Redis was told first: at no moment does a key work whose owner was told that it is gone.
    assert client.get(f"{API}/me", headers=key.headers).status_code == 403
    with app.app_context():
        assert get_user(account).email == account.email
        delete(account)
        assert get_user(account).deleted_at
        assert verify() == []


@pytest.mark.usefixtures("context")
class TestSharedOrganisations:
    """What others are in too."""

    def make_shared(self, *members: tuple[Account, str]) -> str:
        at = now()
        with transaction() as session:
            session.add(Organisation(id="org_shared", name="Engines", shard_tag="aaaaaa", created_at=at))
            session.flush()
            for account, role in members:
                session.add(Membership(user_id=account.user_id, organisation_id="org_shared", role=role, created_at=at))
        return "org_shared"

    def test_its_only_owner_cannot_leave_the_others_alone(self, account: Account) -> None:
        eve = make_account(email="eve@example.com")
        self.make_shared((account, "owner"), (eve, "developer"))
        with pytest.raises(LastOwnerError, match="Engines"):
            delete(account)
        delete(eve)
        delete(account)

    def test_one_owner_of_two_can_go(self, account: Account) -> None:
        eve = make_account(email="eve@example.com")
        shared = self.make_shared((account, "owner"), (eve, "owner"))
        delete(account)
        left = sa.select(Membership.user_id).where(Membership.organisation_id == shared)
        assert list(db.session.scalars(left)) == [eve.user_id]

    def test_one_that_nobody_else_is_in_is_closed_with_its_keys(self, account: Account) -> None:
        shared = self.make_shared((account, "owner"))
        delete(account)
        organisation = db.session.get_one(Organisation, shared)
        assert organisation.disabled_at
        assert organisation.name == "Deleted"
        assert store.client.hget(names.account_record("aaaaaa"), "state") == b"disabled"

    def test_nobody_can_join_one_that_was_closed(self, account: Account) -> None:
        shared = self.make_shared((account, "owner"))
        eve = make_account(email="eve@example.com")
        token = invite_by_mail(shared, eve.email, "owner", by_id=account.user_id)
        delete(account)
        with pytest.raises(InvitationOverError):
            accept(token=token, user_id=eve.user_id, actor=OPERATOR, at=now())
