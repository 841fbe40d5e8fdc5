"""Every route there is, asked by everybody who may not: a route that is added is walked too, or fails here.

What each role may do is in tests/dashboard/test_roles.py, which walks the same map.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from tests.factories import (
    Account,
    Key,
    body,
    invite_by_mail,
    log_in,
    make_key,
    make_team,
    now,
    post_bell,
)
from tests.stores import PostgresqlStore, SqliteStore, make_settings
from webapp import create_app
from webapp.accounts.audit import OPERATOR
from webapp.accounts.models import Invitation, LoginSession, Passkey
from webapp.accounts.roles import Role
from webapp.authentication import KeyRequired, LoginRequired, Public, get_authentication
from webapp.core.db import db, transaction
from webapp.core.redis import store
from webapp.keys.models import ApiKey
from webapp.keys.scopes import SCOPES
from webapp.metering.budgets import set_budget
from webapp.metering.credits import grant_credits

# Parts of addresses that name what belongs to somebody.
OWNED = {"key_id", "job_id", "user_id", "invitation_id", "passkey_id", "session_id"}
# And those that do not. A token is its own permission: it came by mail.
OPEN = {
    "backend_id": "auto",
    "template_id": "bell-state",
    "filename": "styles/base.css",
    "kind": "csv",
    "period": "month",
    "token": "x" * 43,
}
ALL, NONE = "all scopes", "no scope"


@dataclass(frozen=True)
class World:
    """Two organisations in one application: ours, with its owner, and one that is nothing to us."""

    app: Flask
    owner: Account
    organisation_id: str
    # By the one scope that it has; ALL and NONE besides.
    keys: dict[str, Key]
    their_organisation_id: str
    # What of theirs may stand in an address, by the argument's name, and what must be in no answer of ours.
    theirs: dict[str, str]
    secrets: tuple[str, ...]

    def log_in(self) -> FlaskClient:
        """Give the browser of our owner, who has just shown who they are."""
        client = self.app.test_client()
        log_in(client, self.owner, organisation_id=self.organisation_id)
        return client


@pytest.fixture(scope="module")
def built(
    databases: dict[str, SqliteStore | PostgresqlStore],
    valkey_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    """One application for the whole walk; which database it has makes no difference to it."""
    folder = tmp_path_factory.mktemp("matrix")
    with databases["sqlite"].fresh(folder) as url:
        limits = {"KEY_RATE_LIMITS": "1000000/60", "ACCOUNT_RATE_LIMITS": "1000000/60"}
        app = create_app(make_settings(folder, DATABASE_URL=url, REDIS_URL=valkey_url, **limits))
        app.config["WTF_CSRF_ENABLED"] = False
        with app.app_context():
            world = make_world(app)
        # Our owner is an operator too, whose pages are then walked like the others.
        app.extensions["upcube"] = replace(app.extensions["upcube"], admin_emails=frozenset({world.owner.email}))
        yield world
        store.client.close()
        with app.app_context():
            db.engine.dispose()


@pytest.fixture
def world(built: World, redis_url: str) -> Iterator[World]:
    """The two organisations, for tests that change nothing."""
    store.connect(redis_url)
    yield built
    built.app.config["WTF_CSRF_ENABLED"] = False


def make_world(app: Flask) -> World:
    """Make both organisations, with one of everything in theirs."""
    organisation_id, users = make_team(owner=Role.OWNER)
    owner = users["owner"]
    ours = Account(owner.email, owner.user_id, organisation_id, "")
    keys = {scope: make_key(ours, scopes=(scope,)) for scope in SCOPES}
    keys |= {ALL: make_key(ours), NONE: make_key(ours)}
    with transaction() as session:
        # No operation of ours makes such a key.
        session.execute(sa.update(ApiKey).filter_by(id=keys[NONE].row.id).values(scopes=""))
    their_id, their_users = make_team(owner=Role.OWNER, viewer=Role.VIEWER)
    their_owner = their_users["owner"]
    return World(
        app=app,
        owner=owner,
        organisation_id=organisation_id,
        keys=keys,
        their_organisation_id=their_id,
        theirs=make_theirs(app, their_id, their_owner) | {"user_id": their_users["viewer"].user_id},
        secrets=("their nightly", "their circuit", their_owner.email, their_users["viewer"].email, "new@their.example"),
    )


def make_theirs(app: Flask, organisation_id: str, owner: Account) -> dict[str, str]:
    """Give the ids of what the other organisation has."""
    key = make_key(Account(owner.email, owner.user_id, organisation_id, ""), name="their nightly")
    grant_credits(
        organisation_id=organisation_id, microcredits=10_000, reason="", reference=None, actor=OPERATOR, at=now()
    )
    job_id = str(body(post_bell(app.test_client(), key, name="their circuit"))["id"])
    invite_by_mail(organisation_id, "new@their.example", "viewer", by_id=owner.user_id)
    set_budget(
        organisation_id=organisation_id,
        key_id=key.row.id,
        period=OPEN["period"],
        microcredits=1,
        refuses=True,
        actor=OPERATOR,
        at=now(),
    )
    log_in(app.test_client(), owner)
    with transaction() as session:
        session.add(
            Passkey(
                id="passkey_theirs",
                user_id=owner.user_id,
                credential_id="theirs",
                public_key=b"x",
                sign_count=0,
                name="their nightly",
                created_at=now(),
            )
        )
    return {
        "key_id": key.row.id,
        "job_id": job_id,
        "invitation_id": db.session.scalars(sa.select(Invitation.id).filter_by(email="new@their.example")).one(),
        "passkey_id": "passkey_theirs",
        "session_id": db.session.scalars(sa.select(LoginSession.id).filter_by(user_id=owner.user_id)).one(),
    }


def each_route(world: World) -> Iterator[tuple[Rule, str, Public | LoginRequired | KeyRequired]]:
    """Give every route of the application with each of its methods and what it declares."""
    for rule in world.app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield rule, method, get_authentication(world.app, rule.endpoint)


def fill(rule: Rule, world: World) -> str:
    """Give an address of the route with what is theirs in it; an argument that we do not know is a KeyError."""
    return re.sub(r"<(?:[^<>]*:)?(\w+)>", lambda found: (OPEN | world.theirs)[found[1]], rule.rule)


def is_owned(rule: Rule) -> bool:
    """Tell whether an address of the route names what belongs to somebody."""
    return any(f"{name}>" in rule.rule for name in OWNED)


def read_state(world: World) -> list[str]:
    """Give all that SQL and Redis hold, so that nothing can happen unseen."""
    with world.app.app_context():
        metadata = sa.MetaData()
        metadata.reflect(db.engine)
        rows = [f"{table.name} {row}" for table in metadata.sorted_tables for row in db.session.execute(table.select())]
    names = sorted(store.client.scan_iter())
    return [*rows, *(f"{name!r} {store.client.dump(name)!r}" for name in names)]


def assert_nothing_of_theirs_is_in(text: str, world: World, where: str) -> None:
    """Assert that an answer repeats nothing that only they know."""
    assert [secret for secret in world.secrets if secret in text] == [], where


def test_without_a_login_or_a_key_nothing_is_let_through(world: World) -> None:
    """A login is no key, and a key is no login."""
    browser, program = world.log_in(), world.app.test_client()
    before, bearer = read_state(world), world.keys[ALL].headers
    for rule, method, declared in each_route(world):
        if isinstance(declared, KeyRequired):
            answer = browser.open(fill(rule, world), method=method, json={})
            assert (answer.status_code, answer.get_json()["error"]["code"]) == (401, "missing_api_key"), rule
            assert "WWW-Authenticate" in answer.headers
        elif isinstance(declared, LoginRequired):
            answer = program.open(
                fill(rule, world), method=method, headers=bearer, data={} if method == "POST" else None
            )
            assert (answer.status_code, answer.headers["Location"][:12]) == (302, "/login?next="), rule
        else:
            continue
        assert_nothing_of_theirs_is_in(answer.text, world, rule.rule)
    assert read_state(world) == before


def test_what_belongs_to_another_organisation_is_not_there(world: World) -> None:
    client, headers = world.log_in(), world.keys[ALL].headers
    before, walked = read_state(world), 0
    for rule, method, declared in each_route(world):
        if not is_owned(rule):
            continue
        if isinstance(declared, KeyRequired):
            sent = {"GET": None, "PATCH": {"name": "ours"}}.get(method, {})
            answer = world.app.test_client().open(fill(rule, world), method=method, headers=headers, json=sent)
        else:
            form = {"name": "ours", "role": "viewer", "grace": "0"} if method == "POST" else None
            answer = client.open(fill(rule, world), method=method, data=form)
        assert answer.status_code == 404, (method, rule, answer.status_code)
        assert_nothing_of_theirs_is_in(answer.text, world, rule.rule)
        walked += 1
    assert walked > 20
    assert without_calls(read_state(world)) == without_calls(before)


def without_calls(state: list[str]) -> list[str]:
    """Leave out what counts and limits calls: an admitted call that finds nothing is a call."""
    return [line for line in state if not line.startswith("b'")]


def test_a_page_made_for_another_organisation_changes_nothing_in_this_one(world: World) -> None:
    client = world.log_in()
    before = read_state(world)
    for rule, method, declared in each_route(world):
        if isinstance(declared, LoginRequired) and method != "GET":
            sent = {"organisation_id": world.their_organisation_id}
            answer = client.open(fill(rule, world), method=method, data=sent)
            assert answer.status_code == 409, (method, rule)
    assert read_state(world) == before


@pytest.mark.parametrize("token", [None, "", "x", "of another session"])
def test_no_form_is_taken_without_the_token_of_its_own_session(world: World, token: str | None) -> None:
    person, anybody = world.log_in(), world.app.test_client()
    world.app.config["WTF_CSRF_ENABLED"] = True
    if token == "of another session":
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', world.app.test_client().get("/login").text)
        assert found
        token = found[1]
    # So that both have a session with a token of their own.
    anybody.get("/login")
    person.get("/console/api-keys")
    before, walked = read_state(world), 0
    for rule, method, declared in each_route(world):
        if method == "GET" or rule.rule.startswith("/api/"):
            continue
        client = person if isinstance(declared, LoginRequired) else anybody
        answer = client.open(fill(rule, world), method=method, data={} if token is None else {"csrf_token": token})
        assert answer.status_code == 400, (method, rule, answer.status_code)
        assert "CSRF" in answer.text
        walked += 1
    assert walked > 30
    assert read_state(world) == before


def test_a_key_without_the_scope_is_refused_and_nothing_is_counted(world: World) -> None:
    client = world.app.test_client()
    for key in world.keys.values():
        # The first call of a key copies it into Redis.
        assert client.get("/api/quantum/v1/me", headers=key.headers).status_code == 200
    before = read_state(world)
    for rule, method, declared in each_route(world):
        if not isinstance(declared, KeyRequired) or declared.scope is None:
            continue
        for scope in {*SCOPES, NONE} - {declared.scope}:
            answer = client.open(fill(rule, world), method=method, headers=world.keys[scope].headers, json={})
            error = answer.get_json()["error"]
            assert (answer.status_code, error["code"]) == (403, "insufficient_scope"), (scope, rule)
            assert error["requiredScope"] == declared.scope
            assert_nothing_of_theirs_is_in(answer.text, world, rule.rule)
    assert read_state(world) == before


def test_the_scope_that_a_route_names_is_enough(world: World) -> None:
    client = world.app.test_client()
    for rule, method, declared in each_route(world):
        if isinstance(declared, KeyRequired):
            # A key that needs no scope must do without any.
            key = world.keys[declared.scope or NONE]
            options: dict[str, Any] = {} if method == "GET" else {"json": {}}
            answer = client.open(fill(rule, world), method=method, headers=key.headers, **options)
            assert answer.status_code not in {401, 403}, (method, rule, answer.text)
            assert answer.status_code < 500, rule
