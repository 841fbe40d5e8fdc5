"""New passwords: by somebody who knows the old one, or who reads the account's mail.

Whether an address has an account shows neither in the answer to a request for a reset nor in the time that it takes:
the request is only written down, and a worker finds out.
"""

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from webapp.accounts.audit import (
    MAX_ADDRESS_LENGTH,
    MAX_USER_AGENT_LENGTH,
    Action,
    Actor,
    Origin,
    record_event,
    unknown_actor,
    user_actor,
)
from webapp.accounts.letters import send_letter, write_notice, write_reset
from webapp.accounts.links import LinkOverError, Purpose, add_link, drop_links, find_link, take_link
from webapp.accounts.log_in import WrongPasswordError, confirm_password
from webapp.accounts.models import Passkey, ResetRequest, User
from webapp.accounts.operations import MAX_EMAIL_LENGTH, find_email_problem, find_user, normalise_email, user_target
from webapp.accounts.passwords import check_password_rules, hash_password
from webapp.accounts.second_factors import drop_second_factors, has_authenticator
from webapp.accounts.sessions import NewSession, end_sessions, renew_session
from webapp.accounts.throttle import count_mails, take_attempt
from webapp.core.db import ROW_LOCK, db, transaction
from webapp.core.errors import FieldError, InvalidFieldsError
from webapp.core.ids import new_id

REQUESTS_PER_RUN = 100


def ask_reset(*, email: str, site_url: str, origin: Origin, at: datetime) -> None:
    """Write down that somebody wants to reset the password of this address.

    Raises InvalidFieldsError for what is no address, and TooManyAttemptsError, whoever has the address.
    """
    email = normalise_email(email)
    if problem := find_email_problem(email[: MAX_EMAIL_LENGTH + 1]):
        raise InvalidFieldsError([problem])
    take_attempt(count_mails(email, origin.address))
    with transaction() as session:
        session.add(
            ResetRequest(
                id=new_id("reset", at=at),
                email=email,
                site_url=site_url,
                address=origin.address[:MAX_ADDRESS_LENGTH],
                user_agent=origin.user_agent[:MAX_USER_AGENT_LENGTH],
                created_at=at,
            )
        )


def answer_reset_requests(*, at: datetime) -> int:
    """Mail a link for each request whose address has an account, and give how many. Two workers may do so at once."""
    waiting = db.session.scalars(select(ResetRequest.id).order_by(ResetRequest.id).limit(REQUESTS_PER_RUN)).all()
    return sum(answer_reset_request(request_id, at=at) for request_id in waiting)


def answer_reset_request(request_id: str, *, at: datetime) -> bool:
    """Answer one request, unless another worker has; tell whether a link was mailed."""
    with transaction() as session:
        request = session.scalar(
            delete(ResetRequest)
            .where(ResetRequest.id == request_id)
            .returning(ResetRequest)
            .execution_options(synchronize_session=False)
        )
        user = find_user(request.email) if request else None
        if request is None or user is None or user.disabled_at:
            return False
        token = add_link(session, user_id=user.id, purpose=Purpose.RESET, email=user.email, at=at)
        send_letter(session, write_reset(url=f"{request.site_url}/reset/{token}"), to=user.email, at=at)
        origin = Origin(request.address, request.user_agent)
        record_event(
            session,
            action=Action.PASSWORD_RESET_ASKED,
            actor=unknown_actor(origin),
            target=user_target(user),
            at=at,
        )
    return True


def reset_password(*, token: str, password: str, origin: Origin, at: datetime) -> User:
    """Give the user of this link a new password, end all sessions, and tell them.

    The second factor stays, but for one that was added before anybody had shown that the address is theirs.

    Raises LinkOverError or InvalidFieldsError; the link is then still good.
    """
    link = find_link(token, Purpose.RESET, at=at)
    if problem := check_password_rules(password, email=link.email):
        raise InvalidFieldsError([problem])
    password_hash = hash_password(password)
    with transaction() as session:
        link = take_link(session, token=token, purpose=Purpose.RESET, at=at)
        user = session.get_one(User, link.user_id, with_for_update=ROW_LOCK)
        if user.disabled_at or user.email != link.email:
            raise LinkOverError
        if user.email_verified_at is None:
            drop_unproven_factors(session, user=user, origin=origin, at=at)
        # They read its mail.
        user.email_verified_at = user.email_verified_at or at
        end_sessions(session, user_id=user.id, at=at)
        actor = user_actor(user, origin)
        set_password(session, user=user, password_hash=password_hash, action=Action.PASSWORD_RESET, actor=actor, at=at)
    return user


def drop_unproven_factors(session: Session, *, user: User, origin: Origin, at: datetime) -> None:
    """Take away what else logs in to an account whose address nobody had shown to be theirs.

    A stranger may have signed up with it and waited for its owner: their passkeys would let them in for ever, and their
    authenticator app would keep the owner out.
    """
    removed: list[Action] = []
    if session.execute(delete(Passkey).where(Passkey.user_id == user.id).returning(Passkey.id)).first():
        removed.append(Action.PASSKEY_REMOVED)
    if has_authenticator(user.id):
        removed.append(Action.AUTHENTICATOR_REMOVED)
    drop_second_factors(session, user_id=user.id)
    for action in removed:
        record_event(session, action=action, actor=user_actor(user, origin), target=user_target(user), at=at)


def change_password(
    *, user: User, token: str, current: str, password: str, actor: Actor, at: datetime, device: str = ""
) -> NewSession:
    """Change the password of somebody who knows the old one, and end their other sessions.

    Their own session gets another token. Raises InvalidFieldsError or TooManyAttemptsError.
    """
    wrong = [check_password_rules(password, email=user.email)]
    current_hash = user.password_hash
    try:
        confirm_password(user=user, password=current, origin=actor.origin, device=device, at=at)
    except WrongPasswordError as error:
        wrong.append(FieldError("current", error.message))
    if found := [problem for problem in wrong if problem]:
        raise InvalidFieldsError(found)
    password_hash = hash_password(password)
    with transaction() as session:
        user = session.get_one(User, user.id, with_for_update=ROW_LOCK)
        if user.password_hash != current_hash:
            # Somebody who reads the account's mail was faster, and this session has ended.
            raise InvalidFieldsError([FieldError("current", WrongPasswordError().message)])
        end_sessions(session, user_id=user.id, keep_token=token, at=at)
        set_password(
            session, user=user, password_hash=password_hash, action=Action.PASSWORD_CHANGED, actor=actor, at=at
        )
        return NewSession(user.id, renew_session(session, token=token, at=at))


def set_password(
    session: Session, *, user: User, password_hash: str, action: Action, actor: Actor, at: datetime
) -> None:
    """Store a new password in this transaction, make links for another good for nothing, and tell the user."""
    user.password_hash = password_hash
    drop_links(session, user_id=user.id, purpose=Purpose.RESET)
    drop_links(session, user_id=user.id, purpose=Purpose.CHANGE)
    notice = write_notice(
        "Your password was changed", "Your password is another one now, and all other sessions ended."
    )
    send_letter(session, notice, to=user.email, at=at)
    record_event(session, action=action, actor=actor, target=user_target(user), at=at)
