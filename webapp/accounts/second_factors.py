"""Codes of an authenticator app (TOTP, RFC 6238), and the recovery codes that stand in for it."""

import hashlib
import hmac
import re
import secrets
from base64 import b32decode, b32encode
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from webapp.accounts.audit import Action, Actor, Origin, Target, record_event, user_actor
from webapp.accounts.letters import send_letter, write_notice
from webapp.accounts.models import AuthenticatorApp, RecoveryCode, User
from webapp.core.db import db, transaction
from webapp.core.errors import UpcubeError
from webapp.core.ids import ALPHABET
from webapp.core.sealing import UnsealError, sealer

PURPOSE = "authenticator"
# Without a space, which some apps show as a plus sign.
ISSUER = "Upcube"
# RFC 4226, section 4: at least 128 bits, 160 recommended. Apps know SHA-1, six digits and 30 seconds.
SECRET_BYTES = 20
STEP_SECONDS = 30
DIGITS = 6
# Clocks differ: the code before and the one after are taken too (RFC 6238, section 5.2).
STEPS_ASIDE = 1

RECOVERY_CODES = 10
# 120 bits each: more than the 112 that OWASP ASVS 5.0, 6.5.2, asks of codes kept under a plain hash.
GROUPS, GROUP_LENGTH = 4, 6

TOTP_CODE = re.compile(rf"[0-9]{{{DIGITS}}}")


class WrongCodeError(UpcubeError):
    """The code is wrong, too old, or was used before."""

    status = 401
    code = "wrong_code"

    def __init__(self) -> None:
        super().__init__("That code is wrong, too old, or was used before.")


class AuthenticatorExistsError(UpcubeError):
    """The account has an authenticator app."""

    status = 409
    code = "authenticator_exists"

    def __init__(self) -> None:
        super().__init__("Your account has an authenticator app. Remove it before you add another.")


@dataclass(frozen=True)
class SecondFactors:
    """What a user has set up."""

    authenticator_since: datetime | None
    unused_recovery_codes: int


def get_second_factors(user_id: str) -> SecondFactors:
    """Tell what a user has set up."""
    app = db.session.get(AuthenticatorApp, user_id)
    unused = select(func.count()).where(RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None))
    return SecondFactors(app.confirmed_at if app else None, db.session.execute(unused).scalar_one())


def has_authenticator(user_id: str) -> bool:
    """Tell whether a log-in of this user needs a code."""
    return get_second_factors(user_id).authenticator_since is not None


def start_authenticator(*, user_id: str, at: datetime) -> str:
    """Give a new secret for an authenticator app, in base 32. It counts once a first code was right.

    Raises AuthenticatorExistsError.
    """
    secret = b32encode(secrets.token_bytes(SECRET_BYTES)).decode()
    with transaction() as session:
        app = session.get(AuthenticatorApp, user_id, with_for_update=True)
        if app is None:
            app = AuthenticatorApp(user_id=user_id)
            session.add(app)
        elif app.confirmed_at:
            raise AuthenticatorExistsError
        app.sealed_secret = sealer.seal(secret, purpose=PURPOSE, row=user_id)
        app.created_at, app.last_step = at, 0
    return secret


def get_pending_secret(user_id: str) -> str | None:
    """Give the secret that waits for its first code."""
    app = db.session.get(AuthenticatorApp, user_id)
    return read_secret(app) if app and not app.confirmed_at else None


def make_uri(secret: str, *, email: str) -> str:
    """Write what an app reads from the QR code (Key Uri Format of Google Authenticator)."""
    return make_totp(secret).get_provisioning_uri(email, ISSUER)


def confirm_authenticator(*, user: User, code: str, actor: Actor, at: datetime) -> list[str]:
    """Put the app in force with its first code, and give the recovery codes, this once. Raises WrongCodeError."""
    with transaction() as session:
        app = session.get(AuthenticatorApp, user.id, with_for_update=True)
        if app is None or app.confirmed_at or not take_totp(session, app, code, at=at):
            raise WrongCodeError
        app.confirmed_at = at
        record_change(session, action=Action.AUTHENTICATOR_ADDED, actor=actor, user=user, at=at)
        notice = write_notice(
            "An authenticator app was added", "From now on, logging in with your password also needs a code of the app."
        )
        send_letter(session, notice, to=user.email, at=at)
        return replace_recovery_codes(session, user_id=user.id, at=at)


def remove_authenticator(*, user: User, actor: Actor, at: datetime) -> None:
    """Take the app and its recovery codes away; the password alone then logs in."""
    with transaction() as session:
        drop_second_factors(session, user_id=user.id)
        record_change(session, action=Action.AUTHENTICATOR_REMOVED, actor=actor, user=user, at=at)
        notice = write_notice(
            "Your authenticator app was removed", "Logging in with your password needs no code any more."
        )
        send_letter(session, notice, to=user.email, at=at)


def drop_second_factors(session: Session, *, user_id: str) -> None:
    """Take a user's app and recovery codes away in this transaction."""
    session.execute(delete(AuthenticatorApp).where(AuthenticatorApp.user_id == user_id))
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))


def renew_recovery_codes(*, user: User, actor: Actor, at: datetime) -> list[str]:
    """Give new recovery codes, this once; the old ones are good for nothing. Raises WrongCodeError without an app."""
    with transaction() as session:
        app = session.get(AuthenticatorApp, user.id, with_for_update=True)
        if app is None or not app.confirmed_at:
            raise WrongCodeError
        record_change(session, action=Action.RECOVERY_CODES_MADE, actor=actor, user=user, at=at)
        notice = write_notice("You have new recovery codes", "The recovery codes that you had before no longer work.")
        send_letter(session, notice, to=user.email, at=at)
        return replace_recovery_codes(session, user_id=user.id, at=at)


def replace_recovery_codes(session: Session, *, user_id: str, at: datetime) -> list[str]:
    """Make a user's recovery codes anew in this transaction."""
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    codes = [new_recovery_code() for _ in range(RECOVERY_CODES)]
    session.add_all(RecoveryCode(id=hash_recovery_code(code), user_id=user_id, created_at=at) for code in codes)
    return codes


def new_recovery_code() -> str:
    """Draw a code such as 3f9k2m-…: groups of characters that are hard to mistake for each other."""
    groups = ("".join(secrets.choice(ALPHABET) for _ in range(GROUP_LENGTH)) for _ in range(GROUPS))
    return "-".join(groups)


def hash_recovery_code(code: str) -> str:
    """Give the SHA-256 that a code is stored under, however it was typed."""
    typed = re.sub(r"[\s-]", "", code.lower()).translate(str.maketrans("oil", "011"))
    return hashlib.sha256(typed.encode()).hexdigest()


def use_code(session: Session, *, user: User, code: str, origin: Origin, at: datetime) -> str:
    """Use a code of the app or a recovery code up, in this transaction, and say which it was. Raises WrongCodeError."""
    app = session.get(AuthenticatorApp, user.id)
    if app is None or not app.confirmed_at:
        raise WrongCodeError
    if take_totp(session, app, code, at=at):
        return "authenticator"
    used = session.execute(
        update(RecoveryCode)
        .where(
            RecoveryCode.id == hash_recovery_code(code),
            RecoveryCode.user_id == user.id,
            RecoveryCode.used_at.is_(None),
        )
        .values(used_at=at)
        .returning(RecoveryCode.id)
    ).first()
    if used is None:
        raise WrongCodeError
    record_change(session, action=Action.RECOVERY_CODE_USED, actor=user_actor(user, origin), user=user, at=at)
    notice = write_notice("A recovery code was used", "Somebody logged in to your account with a recovery code.")
    send_letter(session, notice, to=user.email, at=at)
    return "recovery code"


def take_totp(session: Session, app: AuthenticatorApp, code: str, *, at: datetime) -> bool:
    """Tell whether a code of the app is right, and use it up: neither it nor an older one is right again."""
    code = re.sub(r"\s", "", code)
    secret = read_secret(app)
    if secret is None or not TOTP_CODE.fullmatch(code):
        return False
    totp, now = make_totp(secret), int(at.timestamp()) // STEP_SECONDS
    for step in range(now - STEPS_ASIDE, now + STEPS_ASIDE + 1):
        if hmac.compare_digest(totp.generate(step * STEP_SECONDS), code.encode()):
            # The database decides between two that bring the same code at once.
            taken = session.execute(
                update(AuthenticatorApp)
                .where(AuthenticatorApp.user_id == app.user_id, AuthenticatorApp.last_step < step)
                .values(last_step=step)
                .returning(AuthenticatorApp.user_id)
            )
            return taken.first() is not None
    return False


def make_totp(secret: str) -> TOTP:
    """Give what makes the codes of a secret."""
    return TOTP(b32decode(secret), DIGITS, SHA1(), STEP_SECONDS)  # noqa: S303  # nosec B303  # apps know no other (RFC 6238)


def read_secret(app: AuthenticatorApp) -> str | None:
    """Give the app's secret; none where SECRET_KEY has changed since, and recovery codes must do."""
    try:
        return sealer.unseal(app.sealed_secret, purpose=PURPOSE, row=app.user_id)
    except UnsealError:
        return None


def record_change(session: Session, *, action: Action, actor: Actor, user: User, at: datetime) -> None:
    """Note a change of a user's second factors."""
    record_event(session, action=action, actor=actor, target=Target("user", user.id, user.email), at=at)
