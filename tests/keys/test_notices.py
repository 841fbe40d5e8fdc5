"""Notices of keys that expire soon."""

from datetime import timedelta

import pytest

from tests.factories import Account, make_account, make_key, make_team, now
from webapp.accounts.audit import OPERATOR
from webapp.accounts.roles import Role
from webapp.keys.notices import send_expiry_notices
from webapp.keys.operations import revoke_key, update_key
from webapp.keys.settings import KeySettings
from webapp.mail.queries import list_letters

pytestmark = pytest.mark.usefixtures("context")


def subjects() -> list[str]:
    return [letter.subject for letter in reversed(list_letters())]


def test_owners_are_told_fourteen_three_and_one_day_before_each_once() -> None:
    at = now()
    make_key(make_account(), name="laptop", expires_at=at + timedelta(days=20))
    for day in (0, 5, 6, 7, 10, 17, 17.5, 19, 19.5, 21):
        for _ in range(2):
            send_expiry_notices(at=at + timedelta(days=day))
    assert subjects() == [f"Your API key laptop expires in {days}" for days in ("14 days", "3 days", "1 day")]


def test_a_task_that_did_not_run_for_long_sends_the_nearest_alone() -> None:
    at = now()
    make_key(make_account(), expires_at=at + timedelta(days=20))
    assert send_expiry_notices(at=at + timedelta(days=19.5)) == 1
    assert send_expiry_notices(at=at + timedelta(days=19.6)) == 0


def test_nobody_is_told_of_what_they_have_just_chosen_or_of_a_key_that_is_over() -> None:
    at = now()
    account = make_account()
    make_key(account, expires_at=at + timedelta(days=2))
    changed = make_key(account)
    update_key(
        organisation_id=account.organisation_id,
        key_id=changed.row.id,
        settings=KeySettings(name="x", scopes=("jobs:read",), expires_at=at + timedelta(days=10)),
        actor=OPERATOR,
        at=at,
    )
    revoked = make_key(account, expires_at=at + timedelta(days=20))
    revoke_key(organisation_id=account.organisation_id, key_id=revoked.row.id, actor=OPERATOR, at=at)
    assert send_expiry_notices(at=at) == 0
    assert send_expiry_notices(at=at + timedelta(days=1, seconds=1)) == 1
    assert send_expiry_notices(at=at + timedelta(days=30)) == 0


def test_owners_admins_and_the_maker_are_told() -> None:
    at = now()
    organisation_id, users = make_team(
        owner=Role.OWNER, admin=Role.ADMIN, maker=Role.DEVELOPER, other=Role.DEVELOPER, viewer=Role.VIEWER
    )
    maker = users["maker"]
    make_key(Account(maker.email, maker.user_id, organisation_id, ""), expires_at=at + timedelta(days=20))
    send_expiry_notices(at=at + timedelta(days=7))
    told = {letter.recipient for letter in list_letters() if "expires" in letter.subject}
    assert told == {users[name].email for name in ("owner", "admin", "maker")}
