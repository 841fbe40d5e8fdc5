"""Invitations: for one address, once, for a week."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from tests.factories import PASSWORD, invite_by_mail, log_in, make_account, make_team, now
from webapp.accounts import invitations
from webapp.accounts.audit import OPERATOR
from webapp.accounts.invitations import (
    LIFETIME,
    InvitationOverError,
    WrongAddressError,
    accept,
    find_invitation,
    list_pending,
    resend,
    withdraw,
)
from webapp.accounts.models import AuditEvent, Invitation, User
from webapp.accounts.organisations import OrganisationError
from webapp.accounts.queries import get_user_by_email, list_members
from webapp.accounts.roles import Role
from webapp.core.db import db, transaction
from webapp.core.errors import InvalidFieldsError, UpcubeError
from webapp.mail.queries import list_letters


def is_over(token: str) -> bool:
    try:
        find_invitation(token, at=now())
    except InvitationOverError:
        return True
    return False


@pytest.mark.usefixtures("context")
class TestLife:
    """From the mail to the membership."""

    def test_a_link_works_once_for_its_address_and_proves_it(self) -> None:
        organisation_id, users = make_team(ada=Role.OWNER)
        bob = make_account(email="bob@example.com")
        token = invite_by_mail(organisation_id, " BOB@Example.com", "developer", by_id=users["ada"].user_id)
        with pytest.raises(WrongAddressError):
            accept(token=token, user_id=make_account().user_id, actor=OPERATOR, at=now())
        member = accept(token=token, user_id=bob.user_id, actor=OPERATOR, at=now())
        assert (member.organisation_id, member.role) == (organisation_id, "developer")
        assert get_user_by_email(bob.email).email_verified_at is not None
        with pytest.raises(InvitationOverError):
            accept(token=token, user_id=bob.user_id, actor=OPERATOR, at=now())

    def test_a_member_under_another_address_is_told_so(self) -> None:
        organisation_id, users = make_team(ada=Role.OWNER, bob=Role.ADMIN)
        token = invite_by_mail(organisation_id, "robert@example.com", "viewer", by_id=users["ada"].user_id)
        with transaction() as session:
            session.get_one(User, users["bob"].user_id).email = "robert@example.com"
        with pytest.raises(OrganisationError, match="already"):
            accept(token=token, user_id=users["bob"].user_id, actor=OPERATOR, at=now())
        assert {member.role for member in list_members(organisation_id)} == {"owner", "admin"}

    def test_the_token_is_in_the_mail_and_nowhere_else(self) -> None:
        organisation_id, users = make_team(ada=Role.OWNER)
        token = invite_by_mail(organisation_id, "bob@example.com", "viewer", by_id=users["ada"].user_id)
        [letter] = [letter for letter in list_letters() if letter.recipient == "bob@example.com"]
        assert f"https://quantum.example.com/invitations/{token}" in (letter.body or "")
        assert "a team" in letter.subject
        kept = [vars(row) for model in (Invitation, AuditEvent) for row in db.session.scalars(sa.select(model))]
        assert token not in str(kept)

    def test_it_ends_after_a_week_to_the_second(self) -> None:
        organisation_id, users = make_team(ada=Role.OWNER)
        at = now()
        token = invite_by_mail(organisation_id, "bob@example.com", "viewer", by_id=users["ada"].user_id, at=at)
        assert find_invitation(token, at=at + LIFETIME - timedelta(seconds=1)).email == "bob@example.com"
        with pytest.raises(InvitationOverError):
            find_invitation(token, at=at + LIFETIME)
        assert list_pending(organisation_id, at=at + LIFETIME) == []

    def test_a_new_link_ends_the_old_one(self) -> None:
        organisation_id, users = make_team(ada=Role.OWNER)
        ada = users["ada"].user_id
        first = invite_by_mail(organisation_id, "bob@example.com", "viewer", by_id=ada)
        second = invite_by_mail(organisation_id, "bob@example.com", "admin", by_id=ada)
        [pending] = list_pending(organisation_id, at=now())
        assert (is_over(first), is_over(second), pending.role) == (True, False, "admin")
        sent = resend(
            organisation_id=organisation_id,
            invitation_id=pending.id,
            by_id=ada,
            link_to=str,
            actor=OPERATOR,
            at=now(),
        )
        assert is_over(second)
        assert [found.id for found in list_pending(organisation_id, at=now())] == [sent.id]

    def test_one_that_is_withdrawn_leads_nowhere(self) -> None:
        organisation_id, users = make_team(ada=Role.OWNER)
        token = invite_by_mail(organisation_id, "bob@example.com", "viewer", by_id=users["ada"].user_id)
        [pending] = list_pending(organisation_id, at=now())
        withdraw(organisation_id=organisation_id, invitation_id=pending.id, actor=OPERATOR, at=now())
        assert is_over(token)
        with pytest.raises(UpcubeError, match="no such invitation"):
            withdraw(organisation_id=organisation_id, invitation_id=pending.id, actor=OPERATOR, at=now())

    @pytest.mark.parametrize("token", ["", "x", "é\0" * 100])
    def test_what_is_no_token_leads_nowhere(self, token: str) -> None:
        assert is_over(token)


@pytest.mark.usefixtures("context")
class TestLimits:
    """Who can be invited, and how often."""

    def test_everything_wrong_is_named_at_once(self) -> None:
        organisation_id, users = make_team(ada=Role.OWNER)
        with pytest.raises(InvalidFieldsError) as caught:
            invite_by_mail(organisation_id, "not an address", "god", by_id=users["ada"].user_id)
        assert [detail.path for detail in caught.value.details] == ["email", "role"]
        assert list_letters() == []

    def test_a_member_is_not_invited_again(self) -> None:
        organisation_id, users = make_team(ada=Role.OWNER, bob=Role.VIEWER)
        with pytest.raises(InvalidFieldsError):
            invite_by_mail(organisation_id, users["bob"].email, "admin", by_id=users["ada"].user_id)

    def test_a_day_has_only_so_many_even_when_they_are_withdrawn(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(invitations, "MAX_SENT_PER_DAY", 2)
        organisation_id, users = make_team(ada=Role.OWNER)
        ada = users["ada"].user_id
        for _ in range(2):
            invite_by_mail(organisation_id, "bob@example.com", "viewer", by_id=ada)
        with pytest.raises(OrganisationError):
            invite_by_mail(organisation_id, "eve@example.com", "viewer", by_id=ada)
        tomorrow = now() + timedelta(days=1, seconds=1)
        assert invite_by_mail(organisation_id, "eve@example.com", "viewer", by_id=ada, at=tomorrow)

    def test_an_organisation_has_only_so_many_members(self, monkeypatch: pytest.MonkeyPatch) -> None:
        organisation_id, users = make_team(ada=Role.OWNER)
        bob = make_account()
        token = invite_by_mail(organisation_id, bob.email, "viewer", by_id=users["ada"].user_id)
        monkeypatch.setattr(invitations, "MAX_MEMBERS", 1)
        with pytest.raises(OrganisationError):
            accept(token=token, user_id=bob.user_id, actor=OPERATOR, at=now())
        assert not is_over(token)


def test_a_link_that_is_followed_twice_at_once_is_taken_once(app: Flask) -> None:
    with app.app_context():
        organisation_id, users = make_team(ada=Role.OWNER)
        bob = make_account()
        token = invite_by_mail(organisation_id, bob.email, "viewer", by_id=users["ada"].user_id)
    together = threading.Barrier(4)

    def run(_: int) -> str:
        with app.app_context():
            together.wait(timeout=10)
            try:
                accept(token=token, user_id=bob.user_id, actor=OPERATOR, at=now())
            except InvitationOverError as error:
                return error.code
            return "joined"

    with ThreadPoolExecutor(max_workers=4) as threads:
        assert sorted(threads.map(run, range(4))) == [*["invitation_over"] * 3, "joined"]
    with app.app_context():
        assert len(list_members(organisation_id)) == 2


class TestPage:
    """What the link leads to."""

    def test_somebody_new_signs_up_and_joins(self, app: Flask, client: FlaskClient) -> None:
        with app.app_context():
            organisation_id, users = make_team(ada=Role.OWNER)
            token = invite_by_mail(organisation_id, "bob@example.com", "viewer", by_id=users["ada"].user_id)
        page = f"/invitations/{token}"
        shown = client.get(page)
        assert f"/signup?next={page}" in shown.text
        answer = client.post(page, headers={"Referer": f"http://localhost{page}"})
        assert answer.headers["Location"] == f"/login?next={page}&unsent=form"
        answer = client.post(f"/signup?next={page}", data={"email": "bob@example.com", "password": PASSWORD})
        assert answer.headers["Location"] == page
        assert "Accept the invitation" in client.get(page).text
        assert client.post(page).headers["Location"] == "/console"
        assert "where your role is viewer" in client.get("/console").text
        assert client.get(page).status_code == 404
        assert client.get("/invitations/nothing").status_code == 404

    def test_another_user_is_told_whose_it_is(self, app: Flask, client: FlaskClient) -> None:
        with app.app_context():
            organisation_id, users = make_team(ada=Role.OWNER)
            token = invite_by_mail(organisation_id, "bob@example.com", "viewer", by_id=users["ada"].user_id)
            eve = make_account()
        log_in(client, eve)
        assert "Log out first" in client.get(f"/invitations/{token}").text
        assert client.post(f"/invitations/{token}").status_code == 403
