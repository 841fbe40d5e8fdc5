"""Who may come in: password, then the second factor where there is one; and proving it again later."""

import hmac
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from webapp.accounts.audit import Action, Details, Origin, record_event, unknown_actor, user_actor
from webapp.accounts.models import User
from webapp.accounts.operations import find_user, normalise_email, user_target
from webapp.accounts.passwords import verify_password
from webapp.accounts.second_factors import WrongCodeError, has_authenticator, use_code
from webapp.accounts.sessions import NewSession, renew_session, start_session
from webapp.accounts.throttle import Counter, count_codes, count_log_ins, give_back_attempt, take_attempt
from webapp.core.db import db, transaction
from webapp.core.errors import UpcubeError
from webapp.core.sealing import sealer

TICKET_LIFETIME = timedelta(minutes=10)


class WrongLoginError(UpcubeError):
    """The address or the password is wrong; which of them is not said."""

    status = 401
    code = "wrong_login"

    def __init__(self) -> None:
        super().__init__("The e-mail address or the password is wrong.")


class WrongPasswordError(WrongLoginError):
    """The password of somebody who is logged in is wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.message = "The password is wrong."


class SecondFactorRequiredError(UpcubeError):
    """The password was right, and a code is wanted too; `ticket` says so to finish_log_in()."""

    status = 401
    code = "second_factor_required"

    def __init__(self, ticket: str) -> None:
        super().__init__("Enter the code of your authenticator app.")
        self.ticket = ticket


class TicketOverError(UpcubeError):
    """It is too long since the password was given, or it has changed meanwhile."""

    status = 401
    code = "log_in_again"

    def __init__(self) -> None:
        super().__init__("That took too long. Log in again.")


@contextmanager
def guessing(counters: Sequence[Counter]) -> Iterator[None]:
    """Count an attempt to guess something: before it, and not at all unless what was given turns out to be wrong.

    Raises TooManyAttemptsError.
    """
    take_attempt(counters)
    is_wrong = False
    try:
        yield
    except (WrongLoginError, WrongCodeError):
        is_wrong = True
        raise
    finally:
        if not is_wrong:
            give_back_attempt(counters)


def log_in(*, email: str, password: str, origin: Origin, at: datetime, device: str = "") -> NewSession:
    """Check the password and start a session.

    Raises WrongLoginError, TooManyAttemptsError, or SecondFactorRequiredError where the password alone is not enough.
    """
    email = normalise_email(email)
    with guessing(count_log_ins(email, origin.address, device)):
        # Before the transaction: hashing is slow on purpose, and SQLite has one writer.
        user = find_user(email)
        password_hash = user.password_hash if user else None
        if not verify_password(password_hash, password) or user is None or user.disabled_at:
            record_failure(user, action=Action.LOGIN_FAILED, origin=origin, at=at)
            raise WrongLoginError
    if has_authenticator(user.id):
        raise SecondFactorRequiredError(make_ticket(user, at=at))
    return enter(user, password_hash=password_hash, origin=origin, details={"method": "password"}, at=at)


def finish_log_in(*, ticket: str, code: str, origin: Origin, at: datetime, device: str = "") -> NewSession:
    """Check the code and start the session that the password was given for.

    Raises TicketOverError, WrongCodeError or TooManyAttemptsError.
    """
    user = read_ticket(ticket, at=at)
    password_hash = user.password_hash
    with guessing(count_codes(user.email, password_hash, origin.address, device)):
        try:
            with transaction() as session:
                if not is_unchanged(session, user, password_hash):
                    raise TicketOverError
                method = use_code(session, user=user, code=code, origin=origin, at=at)
                record_log_in(user, origin=origin, details={"method": f"password and {method}"}, at=at)
                return start_session(session, user_id=user.id, origin=origin, at=at)
        except WrongCodeError:
            record_failure(user, action=Action.SECOND_FACTOR_FAILED, origin=origin, at=at)
            raise


def enter(
    user: User, *, origin: Origin, details: Details, at: datetime, password_hash: str | None = None
) -> NewSession:
    """Start a session for somebody who has proved who they are, by a password if its hash is given.

    Raises WrongLoginError where that password is another by now.
    """
    with transaction() as session:
        if password_hash and not is_unchanged(session, user, password_hash):
            raise WrongLoginError
        record_log_in(user, origin=origin, details=details, at=at)
        return start_session(session, user_id=user.id, origin=origin, at=at)


def is_unchanged(session: Session, user: User, password_hash: str) -> bool:
    """Tell whether a password is still what it was when it was checked; it then stays so until this transaction ends.

    Checking takes a while. Who sets another password meanwhile ends all sessions, and none may begin after that.
    """
    found = session.get_one(User, user.id, with_for_update={"read": True}, populate_existing=True)
    return found.password_hash == password_hash and found.disabled_at is None


def confirm_password(*, user: User, password: str, origin: Origin, at: datetime, device: str = "") -> None:
    """Check the password of somebody who is logged in. Raises WrongPasswordError or TooManyAttemptsError."""
    with guessing(count_log_ins(user.email, origin.address, device)):
        if not verify_password(user.password_hash, password):
            record_failure(user, action=Action.LOGIN_FAILED, origin=origin, at=at)
            raise WrongPasswordError


def confirm_log_in(
    *, user: User, token: str, password: str, origin: Origin, at: datetime, device: str = ""
) -> NewSession:
    """Let somebody who is logged in prove it again, for what is dangerous. Their session gets another token.

    Raises WrongPasswordError or TooManyAttemptsError.
    """
    confirm_password(user=user, password=password, origin=origin, device=device, at=at)
    return renew_log_in(user=user, token=token, method="password", origin=origin, at=at)


def renew_log_in(*, user: User, token: str, method: str, origin: Origin, at: datetime) -> NewSession:
    """Note that somebody has proved again who they are, and give their session another token."""
    with transaction() as session:
        record_event(
            session,
            action=Action.LOGIN_CONFIRMED,
            actor=user_actor(user, origin),
            target=user_target(user),
            details={"method": method},
            at=at,
        )
        return NewSession(user.id, renew_session(session, token=token, at=at))


def record_log_in(user: User, *, origin: Origin, details: Details, at: datetime) -> None:
    """Note a log-in in the transaction that is under way."""
    record_event(
        db.session(),
        action=Action.LOGIN_SUCCEEDED,
        actor=user_actor(user, origin),
        target=user_target(user),
        details=details,
        at=at,
    )


def record_failure(
    user: User | None, *, action: Action, origin: Origin, at: datetime, details: Details | None = None
) -> None:
    """Note the attempt. It is noted, without what was typed, for an unknown address too: that takes as long."""
    with transaction() as session:
        record_event(
            session,
            action=action,
            actor=unknown_actor(origin),
            target=user_target(user) if user else None,
            details=details,
            at=at,
        )


def make_ticket(user: User, *, at: datetime) -> str:
    """Give the proof that this user's password was given a moment ago. It holds nothing secret and lets nobody in."""
    over_at = int((at + TICKET_LIFETIME).timestamp())
    return f"{user.id}.{over_at}.{tag_ticket(user, over_at)}"


def tag_ticket(user: User, over_at: int) -> str:
    """Give the tag of a ticket; another password makes it another."""
    return sealer.tag(f"{user.id} {over_at} {user.password_hash}", purpose="second factor")


def read_ticket(ticket: str, *, at: datetime) -> User:
    """Give the user whom a ticket was made for. Raises TicketOverError."""
    user_id, _, rest = ticket.partition(".")
    over_at, _, tag = rest.partition(".")
    user = db.session.get(User, user_id) if over_at.isascii() and over_at.isdecimal() else None
    if (
        user is None
        or user.disabled_at
        or not hmac.compare_digest(tag.encode(), tag_ticket(user, int(over_at)).encode())
    ):
        raise TicketOverError
    if datetime.fromtimestamp(int(over_at), UTC) <= at:
        raise TicketOverError
    return user
