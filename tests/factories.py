"""Accounts and keys for tests, made by the operations that users go through."""

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from webapp.accounts.audit import OPERATOR
from webapp.accounts.invitations import accept, invite
from webapp.accounts.queries import get_user_by_email
from webapp.accounts.roles import Role
from webapp.core import clock
from webapp.core import redis_names as names
from webapp.core.db import db
from webapp.core.ids import new_id
from webapp.core.key_tokens import parse_token
from webapp.core.redis import store
from webapp.jobs.models import Job
from webapp.keys.models import ApiKey
from webapp.keys.operations import create_key
from webapp.keys.scopes import SCOPES
from webapp.keys.settings import KeySettings
from webapp.ledger.organisations import create_organisation
from webapp.ledger.sign_up import sign_up
from webapp.metering.groups import GROUPS
from webapp.metering.holds import Hold, ask_for_credits

API = "/api/quantum/v1"
PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Account:
    """A user with their personal organisation."""

    email: str
    user_id: str
    organisation_id: str
    shard_tag: str


def make_account(*, microcredits: int = 10_000_000, email: str | None = None) -> Account:
    """Make a user who was granted exactly this much."""
    email = email or f"{new_id('ada', at=clock.now())}@example.com"
    organisation = sign_up(
        email=email,
        password=PASSWORD,
        starting_microcredits=microcredits,
        verified=True,
        actor=OPERATOR,
        at=clock.now(),
    )
    return Account(email, get_user_by_email(email).id, organisation.id, organisation.shard_tag)


def make_team(**members: Role) -> tuple[str, dict[str, Account]]:
    """Make an organisation, and users in it with these roles, by name; the first must be its owner.

    Gives the organisation's id, and the users with their personal accounts.
    """
    users = {name: make_account(microcredits=0) for name in members}
    first = next(iter(users.values()))
    made = create_organisation(name="a team", owner=get_user_by_email(first.email), actor=OPERATOR, at=clock.now())
    organisation_id = made.id
    for name, role in list(members.items())[1:]:
        add_member(organisation_id, users[name], role, by_id=first.user_id)
    return organisation_id, users


def add_member(organisation_id: str, account: Account, role: Role, *, by_id: str) -> None:
    """Bring a user into an organisation, by an invitation as for anybody."""
    token = invite_by_mail(organisation_id, account.email, role, by_id=by_id)
    accept(token=token, user_id=account.user_id, actor=OPERATOR, at=clock.now())


def invite_by_mail(organisation_id: str, email: str, role: str, *, by_id: str, at: datetime | None = None) -> str:
    """Invite an address and give the token that its owner finds in the mail."""
    tokens: list[str] = []

    def link_to(token: str) -> str:
        tokens.append(token)
        return f"https://quantum.example.com/invitations/{token}"

    invite(
        organisation_id=organisation_id,
        email=email,
        role=role,
        by_id=by_id,
        link_to=link_to,
        actor=OPERATOR,
        at=at or clock.now(),
    )
    return tokens[0]


def log_in(client: FlaskClient, account: Account, *, organisation_id: str | None = None) -> None:
    """Log a user in, and go on to one of their organisations."""
    answer = client.post("/login", data={"email": account.email, "password": PASSWORD})
    assert answer.status_code == HTTPStatus.FOUND, answer.text
    if organisation_id:
        answer = client.post("/console/organisations/switch", data={"to": organisation_id})
        assert answer.status_code == HTTPStatus.FOUND, answer.text


@dataclass(frozen=True)
class Key:
    """A key with its raw token."""

    row: ApiKey
    raw: str

    @property
    def headers(self) -> dict[str, str]:
        """The header that a program sends."""
        return {"Authorization": f"Bearer {self.raw}"}


def make_key(
    account: Account,
    *,
    name: str = "a key",
    scopes: tuple[str, ...] = tuple(SCOPES),
    **chosen: Any,  # noqa: ANN401 - whatever KeySettings takes
) -> Key:
    """Make a key of this account; further settings by name."""
    new = create_key(
        organisation_id=account.organisation_id,
        created_by_id=account.user_id,
        settings=KeySettings(name=name, scopes=scopes, **chosen),
        actor=OPERATOR,
        at=clock.now(),
    )
    # Out of the session, so that it stays readable when later writes expire what the session has read.
    db.session.expunge(new.key)
    return Key(new.key, new.raw)


def make_key_by(client: FlaskClient, giver: dict[str, str], **more: object) -> tuple[str, dict[str, str]]:
    """Have a key make another by API; give its id, and the header that it is used with."""
    scopes = ["keys:read", "keys:write", "jobs:read", "jobs:write"]
    answer = client.post(f"{API}/keys", headers=giver, json={"name": "made", "scopes": scopes} | more)
    assert answer.status_code == HTTPStatus.CREATED, answer.text
    made = body(answer)
    return made["id"], {"Authorization": f"Bearer {made['key']}"}


def digest_of(key: Key) -> str:
    """Give what a key's token is known by."""
    token = parse_token(key.raw)
    assert token is not None
    return token.digest


def post_bell(client: FlaskClient, key: Key, **body: object) -> TestResponse:
    """Run the Bell state through the API; more fields, or others, by name."""
    return client.post(
        f"{API}/jobs", json={"templateId": "bell-state", "shots": 100, "seed": 1} | body, headers=key.headers
    )


def queue_bell(client: FlaskClient, key: Key, **body: object) -> str:
    """Queue the Bell state for a worker, and give the job's id."""
    answer = client.post(
        f"{API}/jobs",
        json={"templateId": "bell-state", "shots": 100, "seed": 1} | body,
        headers=key.headers | {"Prefer": "respond-async"},
    )
    assert answer.status_code == 202, answer.text
    job_id: str = answer.get_json()["id"]
    return job_id


def count_jobs(organisation_id: str) -> int:
    """Give the number of the organisation's jobs."""
    return db.session.query(Job).filter_by(organisation_id=organisation_id).count()


def make_holds_overdue() -> None:
    """Set every hold's deadline to long ago."""
    for group in GROUPS:
        for member, _ in store.client.zscan_iter(names.hold_deadlines(group)):
            store.client.zadd(names.hold_deadlines(group), {member: 1})


def body(answer: TestResponse) -> dict[str, Any]:
    """Read an answer that must be a JSON object."""
    assert isinstance(answer.json, dict)
    return answer.json


def now() -> datetime:
    """The time."""
    return clock.now()


def hold_credits(**asked: Any) -> Hold:  # noqa: ANN401 - what ask_for_credits takes
    """Set credits aside, and wait until they are."""
    return ask_for_credits(**asked).get()
