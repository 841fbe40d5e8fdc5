"""What the tests of accounts do again and again."""

import re
import time
from base64 import b32decode
from datetime import datetime

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from flask.testing import FlaskClient
from sqlalchemy import select

from tests.factories import PASSWORD, Account, now
from webapp.accounts.audit import HERE, user_actor
from webapp.accounts.models import AuditEvent, User
from webapp.accounts.second_factors import confirm_authenticator, start_authenticator
from webapp.core.db import db
from webapp.mail.queries import list_letters

LINK = re.compile(r"https?://\S+/(?:reset|verify)/(\S+)")


def get_user(account: Account) -> User:
    """Give the account's user as the database has it now."""
    db.session.rollback()
    return db.session.get_one(User, account.user_id, populate_existing=True)


def list_subjects(recipient: str) -> list[str]:
    """Give the subjects of what was written to somebody, oldest first."""
    return [letter.subject for letter in reversed(list_letters()) if letter.recipient == recipient]


def read_link(recipient: str) -> str:
    """Give the token of the newest link that was mailed to somebody."""
    found = [LINK.search(letter.body or "") for letter in list_letters() if letter.recipient == recipient]
    return next(match[1] for match in found if match)


def list_actions() -> list[str]:
    """Give the actions of the audit trail, oldest first."""
    return list(db.session.scalars(select(AuditEvent.action).order_by(AuditEvent.created_at, AuditEvent.id)))


def make_code(secret: str, *, at: datetime | None = None) -> str:
    """Give the code that an app shows."""
    moment = at.timestamp() if at else time.time()
    return TOTP(b32decode(secret), 6, SHA1(), 30).generate(int(moment)).decode()  # noqa: S303 - RFC 6238


def add_authenticator(account: Account, *, at: datetime | None = None) -> tuple[str, list[str]]:
    """Give a user an authenticator app; give its secret and the recovery codes."""
    at, user = at or now(), get_user(account)
    secret = start_authenticator(user_id=user.id, at=at)
    return secret, confirm_authenticator(user=user, code=make_code(secret, at=at), actor=user_actor(user, HERE), at=at)


def log_in_by_form(client: FlaskClient, email: str = "ada@example.com", password: str = PASSWORD) -> int:
    """Send the log-in form and give the answer's status."""
    return client.post("/login", data={"email": email, "password": password}).status_code
