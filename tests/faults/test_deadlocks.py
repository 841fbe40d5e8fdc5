"""Transactions that lock the same rows wait for one another in one order, on PostgreSQL; SQLite has one writer."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from flask import Flask
from sqlalchemy import select, text

from tests.accounts.steps import get_user, read_link
from tests.factories import Account, Key, invite_by_mail, make_account, make_key, make_team, now
from tests.live import wait_until
from webapp.accounts.audit import HERE, OPERATOR
from webapp.accounts.email_addresses import ask_email_change, open_link
from webapp.accounts.invitations import accept
from webapp.accounts.models import Organisation
from webapp.accounts.operations import disable_user
from webapp.accounts.roles import Role
from webapp.core.db import ROW_LOCK, db, transaction
from webapp.keys.departures import remove_member
from webapp.keys.models import ApiKey
from webapp.keys.operations import add_key, lock_key
from webapp.keys.settings import KeySettings
from webapp.ledger.operations import lock_balance
from webapp.metering.budgets import set_budget
from webapp.metering.models import OpenHold
from webapp.privacy.deletion import delete_account


@pytest.fixture(autouse=True)
def only_on_postgresql(app: Flask) -> None:
    with app.app_context():
        if db.engine.dialect.name != "postgresql":
            pytest.skip("SQLite has one writer")


def count_waiting() -> int:
    """Count the transactions that wait for a lock."""
    with db.engine.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar_one())


@dataclass
class Other:
    """Somebody who does something at the same time."""

    app: Flask
    act: Callable[[], object]
    error: BaseException | None = None

    def start(self) -> threading.Thread:
        """Begin, and go on until they wait for a lock that this thread has."""

        def run() -> None:
            with self.app.app_context():
                try:
                    self.act()
                except BaseException as error:  # noqa: BLE001 - for the test to see
                    self.error = error

        thread = threading.Thread(target=run)
        thread.start()
        wait_until(lambda: count_waiting() > 0)
        return thread


def change_email(account: Account) -> Callable[[], object]:
    """Ask for another address; give the act of opening the link."""
    ask_email_change(user=get_user(account), email="new@example.com", site_url="https://q", actor=OPERATOR, at=now())
    link = read_link("new@example.com")
    return lambda: open_link(token=link, origin=HERE, at=now())


@pytest.mark.parametrize("what", ["deletion", "disabling", "joining", "another address"])
def test_a_key_is_made_while_its_maker_changes(app: Flask, what: str) -> None:
    with app.app_context():
        account = make_account()
        organisation_id = account.organisation_id
        if what == "joining":
            organisation_id, users = make_team(ada=Role.OWNER)
            token = invite_by_mail(organisation_id, account.email, "developer", by_id=users["ada"].user_id)
        acts: dict[str, Callable[[], object]] = {
            "deletion": lambda: delete_account(user_id=account.user_id, actor=OPERATOR, at=now()),
            "disabling": lambda: disable_user(email=account.email, actor=OPERATOR, at=now()),
            "joining": lambda: accept(token=token, user_id=account.user_id, actor=OPERATOR, at=now()),
        }
        act = change_email(account) if what == "another address" else acts[what]
        other = Other(app, act)
        with transaction() as session:
            session.get_one(Organisation, organisation_id, with_for_update=ROW_LOCK)
            thread = other.start()
            # The row of a key refers to its maker, whose row the other has locked.
            made = add_key(
                session,
                organisation_id=organisation_id,
                created_by_id=account.user_id,
                created_by_key_id=None,
                settings=KeySettings(name="x", scopes=("jobs:read",)),
                actor=OPERATOR,
                at=now(),
            )
            assert made.raw
        thread.join()
        assert other.error is None


def test_a_key_is_changed_by_another_while_their_maker_leaves(app: Flask) -> None:
    with app.app_context():
        organisation_id, users = make_team(ada=Role.OWNER, dev=Role.DEVELOPER)
        older, newer = (make_key(replace(users["dev"], organisation_id=organisation_id)).row.id for _ in range(2))
        other = Other(
            app,
            lambda: remove_member(
                organisation_id=organisation_id,
                user_id=users["dev"].user_id,
                revokes_keys=True,
                by_id=users["ada"].user_id,
                actor=OPERATOR,
                at=now(),
            ),
        )
        with transaction() as session:
            lock_key(session, organisation_id, older)
            thread = other.start()
            lock_key(session, organisation_id, newer)
        thread.join()
        assert other.error is None
        assert all(db.session.scalars(select(ApiKey.revoked_at)))


def test_a_hold_is_kept_while_a_budget_is_set(app: Flask) -> None:
    with app.app_context():
        account = make_account()
        key: Key = make_key(account)
        other = Other(
            app,
            lambda: set_budget(
                organisation_id=account.organisation_id,
                key_id=key.row.id,
                period="day",
                microcredits=5,
                refuses=True,
                actor=OPERATOR,
                at=now(),
            ),
        )
        with transaction() as session:
            lock_balance(session, account.organisation_id)
            thread = other.start()
            # Refers to the organisation, whose row the other has locked.
            session.add(
                OpenHold(
                    hold_id="one",
                    organisation_id=account.organisation_id,
                    microcredits=1,
                    key_id=key.row.id,
                    held_at=now(),
                )
            )
        thread.join()
        assert other.error is None
        assert db.session.scalar(select(OpenHold.hold_id)) == "one"
