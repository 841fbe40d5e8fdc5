"""Organisations and their members, as the operations keep them."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.factories import Account, Key, add_member, invite_by_mail, make_account, make_key, make_team, now
from webapp.accounts import organisations
from webapp.accounts.audit import OPERATOR
from webapp.accounts.invitations import list_pending
from webapp.accounts.models import AuditEvent, Membership
from webapp.accounts.operations import disable_user
from webapp.accounts.organisations import (
    LastOwnerError,
    NotAllowedError,
    OrganisationError,
    PersonalOrganisationError,
    change_role,
    rename_organisation,
    transfer_ownership,
)
from webapp.accounts.queries import get_current_membership, get_user_by_email, list_members, list_memberships
from webapp.accounts.roles import Role
from webapp.core.db import db
from webapp.core.errors import InvalidFieldsError, NotFoundError, StoreAwayError, UpcubeError
from webapp.core.redis import store
from webapp.keys.departures import remove_member
from webapp.keys.queries import list_keys
from webapp.ledger.organisations import create_organisation
from webapp.metering.credits import get_credits
from webapp.metering.verify import verify
from webapp.privacy import deletion
from webapp.privacy.deletion import delete_account


def roles_of(organisation_id: str) -> dict[str, str]:
    """Give the organisation's roles by user."""
    return {member.user_id: member.role for member in list_members(organisation_id)}


def remove(organisation_id: str, user: Account, *, by: Account, revokes_keys: bool = False) -> None:
    remove_member(
        organisation_id=organisation_id,
        user_id=user.user_id,
        revokes_keys=revokes_keys,
        by_id=by.user_id,
        actor=OPERATOR,
        at=now(),
    )


def promote(organisation_id: str, user: Account, role: str, *, by: Account) -> None:
    change_role(
        organisation_id=organisation_id, user_id=user.user_id, role=role, by_id=by.user_id, actor=OPERATOR, at=now()
    )


def make_team_key(organisation_id: str, account: Account) -> Key:
    return make_key(Account(account.email, account.user_id, organisation_id, ""))


@pytest.mark.usefixtures("context")
class TestCreation:
    """A new organisation."""

    def test_it_starts_with_its_maker_as_owner_and_with_nothing_to_spend(self) -> None:
        organisation_id, users = make_team(ada=Role.OWNER)
        assert roles_of(organisation_id) == {users["ada"].user_id: "owner"}
        assert get_credits(organisation_id).granted == 0
        assert verify() == []

    @pytest.mark.parametrize("name", ["", "  ", "x" * 81, "a\0b", "a\nb"])
    def test_its_name_is_one_short_line(self, name: str) -> None:
        user = get_user_by_email(make_account().email)
        with pytest.raises(InvalidFieldsError):
            create_organisation(name=name, owner=user, actor=OPERATOR, at=now())
        assert len(list_memberships(user.id)) == 1

    def test_a_user_has_only_so_many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(organisations, "MAX_ORGANISATIONS", 1)
        user = get_user_by_email(make_account().email)
        create_organisation(name="one", owner=user, actor=OPERATOR, at=now())
        with pytest.raises(OrganisationError):
            create_organisation(name="two", owner=user, actor=OPERATOR, at=now())

    def test_the_personal_one_is_shown_where_the_chosen_one_is_not_ones_own(self) -> None:
        organisation_id, users = make_team(ada=Role.OWNER)
        stranger = make_account()
        for wanted in (None, "", "org_nothing", organisation_id):
            found = get_current_membership(stranger.user_id, wanted)
            assert found.organisation_id == stranger.organisation_id
        assert get_current_membership(users["ada"].user_id, organisation_id).organisation_id == organisation_id
        names = [membership.organisation_id for membership in list_memberships(users["ada"].user_id)]
        assert names == [users["ada"].organisation_id, organisation_id]

    def test_a_new_name_is_in_the_audit_trail_with_the_old_one(self) -> None:
        organisation_id, _ = make_team(ada=Role.OWNER)
        for _ in range(2):
            rename_organisation(organisation_id=organisation_id, name=" Lab ", actor=OPERATOR, at=now())
        found = db.session.scalars(sa.select(AuditEvent).where(AuditEvent.action == "organisation.renamed")).one()
        assert found.details == {"from": "a team", "to": "Lab"}


@pytest.mark.usefixtures("context")
class TestRoles:
    """Who may make whom what."""

    def test_an_owner_makes_another_and_steps_back(self) -> None:
        organisation_id, users = make_team(ada=Role.OWNER, bob=Role.VIEWER)
        promote(organisation_id, users["bob"], "owner", by=users["ada"])
        promote(organisation_id, users["ada"], "viewer", by=users["ada"])
        assert roles_of(organisation_id) == {users["ada"].user_id: "viewer", users["bob"].user_id: "owner"}

    def test_the_last_owner_stays(self) -> None:
        organisation_id, users = make_team(ada=Role.OWNER, bob=Role.ADMIN)
        ada = users["ada"]
        for act in (
            partial(promote, organisation_id, ada, "admin", by=ada),
            partial(remove, organisation_id, ada, by=ada),
        ):
            with pytest.raises(LastOwnerError):
                act()
        assert roles_of(organisation_id)[ada.user_id] == "owner"

    def test_an_owner_who_is_disabled_is_no_other_owner(self) -> None:
        organisation_id, users = make_team(ada=Role.OWNER, bob=Role.OWNER, cy=Role.ADMIN)
        disable_user(email=users["bob"].email, actor=OPERATOR, at=now())
        with pytest.raises(LastOwnerError):
            promote(organisation_id, users["ada"], "admin", by=users["ada"])
        with pytest.raises(LastOwnerError):
            remove(organisation_id, users["ada"], by=users["ada"])
        with pytest.raises(deletion.LastOwnerError):
            delete_account(user_id=users["ada"].user_id, actor=OPERATOR, at=now())
        promote(organisation_id, users["cy"], "owner", by=users["ada"])
        remove(organisation_id, users["ada"], by=users["ada"])

    @pytest.mark.parametrize("fate", ["demoted", "removed", "hands over", "disabled", "deleted"])
    def test_who_is_no_owner_any_more_has_invited_no_owner(self, fate: str) -> None:
        organisation_id, users = make_team(ada=Role.OWNER, bob=Role.OWNER)
        ada, bob = users["ada"], users["bob"]
        for email, role, by in (
            ("x@example.com", "owner", bob),
            ("y@example.com", "viewer", bob),
            ("z@example.com", "owner", ada),
        ):
            invite_by_mail(organisation_id, email, role, by_id=by.user_id)
        if fate == "demoted":
            promote(organisation_id, bob, "admin", by=ada)
        elif fate == "removed":
            remove(organisation_id, bob, by=ada)
        elif fate == "hands over":
            transfer_ownership(
                organisation_id=organisation_id, user_id=ada.user_id, by_id=bob.user_id, actor=OPERATOR, at=now()
            )
        elif fate == "disabled":
            disable_user(email=bob.email, actor=OPERATOR, at=now())
        else:
            delete_account(user_id=bob.user_id, actor=OPERATOR, at=now())
        pending = {invitation.email for invitation in list_pending(organisation_id, at=now())}
        assert pending == {"y@example.com", "z@example.com"}

    def test_an_admin_neither_makes_nor_touches_an_owner(self) -> None:
        organisation_id, users = make_team(ada=Role.OWNER, bob=Role.ADMIN, eve=Role.VIEWER)
        bob = users["bob"]
        for act in (
            partial(promote, organisation_id, users["eve"], "owner", by=bob),
            partial(promote, organisation_id, bob, "owner", by=bob),
            partial(promote, organisation_id, users["ada"], "viewer", by=bob),
            partial(remove, organisation_id, users["ada"], by=bob),
            partial(add_member, organisation_id, make_account(), Role.OWNER, by_id=bob.user_id),
        ):
            with pytest.raises(NotAllowedError):
                act()
        promote(organisation_id, users["eve"], "admin", by=bob)
        assert sorted(roles_of(organisation_id).values()) == ["admin", "admin", "owner"]

    def test_ownership_is_handed_over_whole(self) -> None:
        organisation_id, users = make_team(ada=Role.OWNER, bob=Role.VIEWER)
        hand_over = partial(transfer_ownership, organisation_id=organisation_id, actor=OPERATOR, at=now())
        hand_over(user_id=users["bob"].user_id, by_id=users["ada"].user_id)
        assert roles_of(organisation_id) == {users["ada"].user_id: "admin", users["bob"].user_id: "owner"}
        with pytest.raises(NotAllowedError):
            hand_over(user_id=users["bob"].user_id, by_id=users["ada"].user_id)
        with pytest.raises(OrganisationError):
            hand_over(user_id=users["bob"].user_id, by_id=users["bob"].user_id)
        with pytest.raises(NotFoundError):
            hand_over(user_id=make_account().user_id, by_id=users["bob"].user_id)

    @pytest.mark.parametrize("role", ["", "god", "OWNER", "owner ", "\0"])
    def test_what_is_no_role_is_refused(self, role: str) -> None:
        organisation_id, users = make_team(ada=Role.OWNER, bob=Role.VIEWER)
        with pytest.raises(InvalidFieldsError):
            promote(organisation_id, users["bob"], role, by=users["ada"])

    def test_a_personal_account_stays_ones_own(self) -> None:
        ada = make_account()
        for act in (
            partial(promote, ada.organisation_id, ada, "viewer", by=ada),
            partial(remove, ada.organisation_id, ada, by=ada),
            partial(add_member, ada.organisation_id, make_account(), Role.VIEWER, by_id=ada.user_id),
            partial(rename_organisation, organisation_id=ada.organisation_id, name="x", actor=OPERATOR, at=now()),
        ):
            with pytest.raises(PersonalOrganisationError):
                act()
        assert roles_of(ada.organisation_id) == {ada.user_id: "owner"}


@pytest.mark.usefixtures("context")
class TestRemoval:
    """Members go; keys stay unless somebody says otherwise."""

    def test_keys_of_one_who_is_removed_stay_the_organisation_s(self) -> None:
        organisation_id, users = make_team(ada=Role.OWNER, bob=Role.DEVELOPER)
        make_team_key(organisation_id, users["bob"])
        remove(organisation_id, users["bob"], by=users["ada"])
        assert users["bob"].user_id not in roles_of(organisation_id)
        assert [key.revoked_at for key in list_keys(organisation_id)] == [None]

    def test_or_are_revoked_with_it_and_nobody_elses(self) -> None:
        organisation_id, users = make_team(ada=Role.OWNER, bob=Role.DEVELOPER)
        bobs, adas = (make_team_key(organisation_id, users[name]) for name in ("bob", "ada"))
        own = make_key(users["bob"])
        remove(organisation_id, users["bob"], by=users["ada"], revokes_keys=True)
        revoked = {key.id for key in list_keys(organisation_id) if key.revoked_at}
        assert revoked == {bobs.row.id}
        assert adas.row.id not in revoked
        assert [key.revoked_at for key in list_keys(own.row.organisation_id)] == [None]

    def test_where_redis_cannot_be_told_nothing_is_done(self, redis_url: str) -> None:
        organisation_id, users = make_team(ada=Role.OWNER, bob=Role.DEVELOPER)
        make_team_key(organisation_id, users["bob"])
        store.connect("unix:///nowhere/valkey.sock")
        with pytest.raises(StoreAwayError):
            remove(organisation_id, users["bob"], by=users["ada"], revokes_keys=True)
        store.connect(redis_url)
        assert users["bob"].user_id in roles_of(organisation_id)
        assert [key.revoked_at for key in list_keys(organisation_id)] == [None]


def run_at_once(app: Flask, acts: list[Callable[[], object]]) -> list[str]:
    """Run these at the same time, each as a request would, and give the refusals' names."""
    together = threading.Barrier(len(acts))

    def run(act: Callable[[], object]) -> str:
        with app.app_context():
            together.wait(timeout=10)
            try:
                act()
            except UpcubeError as error:
                return error.code
            return "done"

    with ThreadPoolExecutor(max_workers=len(acts)) as threads:
        return sorted(threads.map(run, acts))


def test_of_two_owners_who_leave_at_once_one_stays(app: Flask) -> None:
    with app.app_context():
        organisation_id, users = make_team(ada=Role.OWNER, bob=Role.OWNER)
    acts: list[Callable[[], object]] = [
        partial(remove, organisation_id, users[name], by=users[name]) for name in ("ada", "bob")
    ]
    assert run_at_once(app, acts) == ["done", "last_owner"]
    with app.app_context():
        left = db.session.scalars(sa.select(Membership.role).where(Membership.organisation_id == organisation_id))
        assert list(left) == ["owner"]
