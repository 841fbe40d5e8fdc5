"""The audit trail: what is recorded, and that nothing takes it back."""

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from tests.factories import PASSWORD, make_account, make_key, now
from webapp.accounts.audit import OPERATOR, Action, Origin, Target, record_event, unknown_actor
from webapp.accounts.models import AuditEvent
from webapp.core.db import db, transaction
from webapp.keys.operations import revoke_key
from webapp.metering.credits import grant_credits


def list_actions() -> list[tuple[str, str, str | None]]:
    """Give every event's action, who acted and on what, oldest first."""
    found = db.session.scalars(sa.select(AuditEvent).order_by(AuditEvent.created_at, AuditEvent.id))
    return [(event.action, event.actor_label, event.target_label) for event in found]


@pytest.mark.usefixtures("context")
class TestStore:
    """Events as the database keeps them."""

    def test_an_event_has_who_what_when_and_where(self) -> None:
        at = now()
        with transaction() as session:
            record_event(
                session,
                action=Action.KEY_CREATED,
                actor=unknown_actor(Origin("2001:db8::1" + "x" * 99, "a browser" + "x" * 999)),
                target=Target("key", "key_1", "W" * 999),
                organisation_id="org_1",
                details={"scopes": ["jobs:read"]},
                at=at,
            )
        event = db.session.scalars(sa.select(AuditEvent)).one()
        assert (event.action, event.actor_type, event.actor_id) == ("key.created", "nobody", None)
        assert (event.target_type, event.target_id, event.target_label) == ("key", "key_1", "W" * 254)
        assert (event.organisation_id, event.details) == ("org_1", {"scopes": ["jobs:read"]})
        assert event.address.startswith("2001:db8::1")
        assert event.user_agent.startswith("a browser")
        assert event.created_at == at

    def test_an_event_and_its_act_are_there_together_or_not_at_all(self) -> None:
        def fail() -> None:
            with transaction() as session:
                record_event(session, action=Action.KEY_CREATED, actor=OPERATOR, at=now())
                raise InterruptedError

        with pytest.raises(InterruptedError):
            fail()
        assert list_actions() == []

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE audit_events SET action = 'nothing.happened'",
            "UPDATE audit_events SET actor_label = 'somebody else'",
            "DELETE FROM audit_events",
        ],
    )
    def test_the_database_refuses_to_change_or_delete_one(self, change: str) -> None:
        make_account(email="ada@example.com")
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), transaction() as session:
            session.execute(sa.text(change))
        assert ("user.signed_up", "Operator", "ada@example.com") in list_actions()

    def test_sqlite_replaces_none_and_postgresql_truncates_none(self) -> None:
        make_account(email="ada@example.com")
        is_sqlite = db.engine.dialect.name == "sqlite"
        change = "REPLACE INTO audit_events SELECT * FROM audit_events" if is_sqlite else "TRUNCATE audit_events"
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), transaction() as session:
            session.execute(sa.text(change))
        assert len(list_actions()) == 1


class TestActs:
    """Which acts leave an event."""

    def test_the_way_in_and_out_leaves_a_trail(self, app: Flask, client: FlaskClient) -> None:
        form = {"email": "ada@example.com", "password": PASSWORD}
        browser = {"User-Agent": "a browser\0"}
        client.post("/signup", data=form, headers=browser)
        client.post("/logout")
        client.post("/login", data=form | {"password": "my other password"})
        client.post("/login", data=form | {"email": "hunter2@example.com"})
        client.post("/login", data=form)
        with app.app_context():
            assert list_actions() == [
                ("user.signed_up", "ada@example.com", "ada@example.com"),
                ("login.succeeded", "ada@example.com", "ada@example.com"),
                ("login.ended", "ada@example.com", "ada@example.com"),
                ("login.failed", "", "ada@example.com"),
                ("login.failed", "", ""),
                ("login.succeeded", "ada@example.com", "ada@example.com"),
            ]
            first = db.session.scalars(sa.select(AuditEvent).order_by(AuditEvent.id)).first()
            assert first is not None
            assert (first.address, first.user_agent) == ("127.0.0.1", "a browser")
            kept = str([vars(event) for event in db.session.scalars(sa.select(AuditEvent))])
        # What was typed for an address may have been a password.
        for secret in (PASSWORD, "my other password", "hunter2"):
            assert secret not in kept

    def test_keys_and_grants_leave_a_trail_without_the_raw_key(self, app: Flask) -> None:
        with app.app_context():
            account = make_account(email="ada@example.com")
            key = make_key(account, name="laptop")
            for _ in range(2):
                revoke_key(organisation_id=account.organisation_id, key_id=key.row.id, actor=OPERATOR, at=now())
            grant_credits(
                organisation_id=account.organisation_id,
                microcredits=2_500_000,
                reason="a gift",
                reference=None,
                actor=OPERATOR,
                at=now(),
            )
            assert list_actions()[1:] == [
                ("key.created", "Operator", "laptop"),
                ("key.revoked", "Operator", "laptop"),
                ("credits.granted", "Operator", "ada@example.com"),
            ]
            events = list(db.session.scalars(sa.select(AuditEvent)))
            assert {event.organisation_id for event in events[1:]} == {account.organisation_id}
            assert key.raw[16:] not in str([vars(event) for event in events])
