"""Passkeys: WebAuthn credentials that live on people's devices and log them in without a password.

The library is imported where it is used: it costs 25 MB and a tenth of a second, which most processes never need.
"""

import hashlib
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from webapp.accounts.audit import Action, Actor, Origin, Target, record_event
from webapp.accounts.letters import send_letter, write_notice
from webapp.accounts.log_in import enter, record_failure, renew_log_in
from webapp.accounts.models import Passkey, User
from webapp.accounts.sessions import NewSession
from webapp.core import redis_names as names
from webapp.core.db import ROW_LOCK, db, is_violation_of, transaction
from webapp.core.errors import FieldError, InvalidFieldsError, NotFoundError, UpcubeError
from webapp.core.ids import new_id
from webapp.core.redis import asking_redis, store
from webapp.core.text import has_control_characters

MAX_PASSKEYS = 20
MAX_NAME_LENGTH = 80
MAX_RESPONSE_LENGTH = 20_000
CHALLENGE_BYTES = 32
CHALLENGE_SECONDS = 300


class PasskeyError(UpcubeError):
    """What the browser sent does not prove that it has the passkey."""

    status = 401
    code = "wrong_passkey"

    def __init__(self, message: str = "That passkey could not be checked. Try again.") -> None:
        super().__init__(message)


@dataclass(frozen=True)
class RelyingParty:
    """Who asks for a passkey, as browsers see us: a host's name, and the address of our pages."""

    id: str
    origin: str

    @property
    def has_name(self) -> bool:
        """Tell whether browsers make passkeys for it: not for a host that is only known by a number."""
        return not re.fullmatch(r"[0-9.]+|.*:.*|", self.id)


@dataclass(frozen=True)
class Ceremony:
    """What the browser is asked, as JSON, and the challenge that its answer must be to."""

    options: str
    challenge: str


def list_passkeys(user_id: str) -> list[Passkey]:
    """Give the user's passkeys, oldest first."""
    return list(db.session.scalars(select(Passkey).where(Passkey.user_id == user_id).order_by(Passkey.id)))


def start_registration(*, user: User, party: RelyingParty) -> Ceremony:
    """Ask the browser to make a passkey: one that is found without a name and checks who uses it."""
    from webauthn import generate_registration_options, options_to_json  # noqa: PLC0415 - see above
    from webauthn.helpers import base64url_to_bytes  # noqa: PLC0415 - see above
    from webauthn.helpers.structs import (  # noqa: PLC0415 - see above
        AuthenticatorSelectionCriteria,
        PublicKeyCredentialDescriptor,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    challenge = new_challenge(purpose=f"register {user.id}")
    options = generate_registration_options(
        rp_id=party.id,
        rp_name="Upcube Quantum",
        user_name=user.email,
        user_id=user.id.encode(),
        challenge=base64url_to_bytes(challenge),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[
            PublicKeyCredentialDescriptor(id=base64url_to_bytes(each.credential_id)) for each in list_passkeys(user.id)
        ],
    )
    return Ceremony(options_to_json(options), challenge)


def register_passkey(
    *, user: User, party: RelyingParty, challenge: str, response: str, name: str, actor: Actor, at: datetime
) -> Passkey:
    """Keep the public key of a passkey that the browser has made. Raises PasskeyError or InvalidFieldsError."""
    from webauthn import verify_registration_response  # noqa: PLC0415 - see above
    from webauthn.helpers import base64url_to_bytes, bytes_to_base64url  # noqa: PLC0415 - see above

    name = check_name(name)
    take_challenge(challenge, purpose=f"register {user.id}")
    with checking(response):
        made = verify_registration_response(
            credential=response,
            expected_challenge=base64url_to_bytes(challenge),
            expected_rp_id=party.id,
            expected_origin=party.origin,
            require_user_verification=True,
        )
    passkey = Passkey(
        id=new_id("passkey", at=at),
        user_id=user.id,
        credential_id=bytes_to_base64url(made.credential_id),
        public_key=made.credential_public_key,
        sign_count=made.sign_count,
        name=name,
        created_at=at,
    )
    try:
        with transaction() as session:
            add_passkey(session, user=user, passkey=passkey, actor=actor, at=at)
    except IntegrityError as error:
        if is_violation_of(error, "credential_id"):
            raise PasskeyError("This passkey is registered already.") from error
        raise
    return passkey


def add_passkey(session: Session, *, user: User, passkey: Passkey, actor: Actor, at: datetime) -> None:
    """Add a passkey to this transaction, and tell its user. Raises PasskeyError where there are too many."""
    # Locked, so that two at once cannot both be the last one allowed.
    session.get_one(User, user.id, with_for_update=ROW_LOCK)
    count = select(func.count()).where(Passkey.user_id == user.id)
    if session.execute(count).scalar_one() >= MAX_PASSKEYS:
        raise PasskeyError(f"An account has at most {MAX_PASSKEYS} passkeys. Remove one that is not used.")
    session.add(passkey)
    record_change(session, action=Action.PASSKEY_ADDED, passkey=passkey, actor=actor, at=at)
    notice = write_notice("A passkey was added", "From now on another passkey logs in to your account.")
    send_letter(session, notice, to=user.email, at=at)


def rename_passkey(*, user_id: str, passkey_id: str, name: str, actor: Actor, at: datetime) -> None:
    """Call a passkey something else. Raises InvalidFieldsError or NotFoundError."""
    name = check_name(name)
    with transaction() as session:
        passkey = get_own(session, user_id=user_id, passkey_id=passkey_id)
        passkey.name = name
        record_change(session, action=Action.PASSKEY_RENAMED, passkey=passkey, actor=actor, at=at)


def remove_passkey(*, user: User, passkey_id: str, actor: Actor, at: datetime) -> None:
    """Take a passkey away; it logs nobody in any more. Raises NotFoundError."""
    with transaction() as session:
        passkey = get_own(session, user_id=user.id, passkey_id=passkey_id)
        record_change(session, action=Action.PASSKEY_REMOVED, passkey=passkey, actor=actor, at=at)
        session.execute(delete(Passkey).where(Passkey.id == passkey.id))
        notice = write_notice("A passkey was removed", "A passkey of your account no longer logs in.")
        send_letter(session, notice, to=user.email, at=at)


def get_own(session: Session, *, user_id: str, passkey_id: str) -> Passkey:
    """Give one of the user's own passkeys, locked. Raises NotFoundError."""
    passkey = session.scalar(
        select(Passkey).where(Passkey.id == passkey_id, Passkey.user_id == user_id).with_for_update()
    )
    if passkey is None:
        raise NotFoundError("You have no such passkey.", target="passkeyId")
    return passkey


def start_authentication(*, party: RelyingParty) -> Ceremony:
    """Ask the browser for any passkey of ours that it has."""
    from webauthn import generate_authentication_options, options_to_json  # noqa: PLC0415 - see above
    from webauthn.helpers import base64url_to_bytes  # noqa: PLC0415 - see above
    from webauthn.helpers.structs import UserVerificationRequirement  # noqa: PLC0415 - see above

    challenge = new_challenge(purpose="authenticate")
    options = generate_authentication_options(
        rp_id=party.id,
        challenge=base64url_to_bytes(challenge),
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return Ceremony(options_to_json(options), challenge)


def log_in_with_passkey(
    *, party: RelyingParty, challenge: str, response: str, origin: Origin, at: datetime
) -> NewSession:
    """Start a session for the user whose passkey answered. It is two factors in one: no code is asked for.

    Raises PasskeyError.
    """
    try:
        user = find_passkey_owner(party=party, challenge=challenge, response=response, at=at)
    except PasskeyError:
        # Whose passkey it would have been is not proved.
        record_failure(None, action=Action.LOGIN_FAILED, origin=origin, at=at, details={"method": "passkey"})
        raise
    return enter(user, origin=origin, details={"method": "passkey"}, at=at)


def confirm_with_passkey(
    *, user: User, token: str, party: RelyingParty, challenge: str, response: str, origin: Origin, at: datetime
) -> NewSession:
    """Let somebody who is logged in prove it again with a passkey of theirs. Raises PasskeyError."""
    try:
        check_owner(user, find_passkey_owner(party=party, challenge=challenge, response=response, at=at))
    except PasskeyError:
        record_failure(user, action=Action.LOGIN_FAILED, origin=origin, at=at, details={"method": "passkey"})
        raise
    return renew_log_in(user=user, token=token, method="passkey", origin=origin, at=at)


def check_owner(user: User, owner: User) -> None:
    """Refuse a passkey of somebody else. Raises PasskeyError."""
    if owner.id != user.id:
        raise PasskeyError("That is a passkey of another account.")


def find_passkey_owner(*, party: RelyingParty, challenge: str, response: str, at: datetime) -> User:
    """Give the user whose passkey answered the challenge, and note its use. Raises PasskeyError."""
    from webauthn import verify_authentication_response  # noqa: PLC0415 - see above
    from webauthn.helpers import base64url_to_bytes, parse_authentication_credential_json  # noqa: PLC0415 - see above

    take_challenge(challenge, purpose="authenticate")
    with checking(response):
        credential = parse_authentication_credential_json(response)
    with transaction() as session:
        passkey = session.scalar(select(Passkey).where(Passkey.credential_id == credential.id).with_for_update())
        user = session.get(User, passkey.user_id) if passkey else None
        if passkey is None or user is None or user.disabled_at:
            raise PasskeyError("We do not know that passkey. It may have been removed from its account.")
        if credential.response.user_handle not in {None, user.id.encode()}:
            raise PasskeyError
        with checking(response):
            verified = verify_authentication_response(
                credential=credential,
                expected_challenge=base64url_to_bytes(challenge),
                expected_rp_id=party.id,
                expected_origin=party.origin,
                credential_public_key=passkey.public_key,
                credential_current_sign_count=passkey.sign_count,
                require_user_verification=True,
            )
        passkey.sign_count, passkey.last_used_at = verified.new_sign_count, at
    return user


@contextmanager
def checking(response: str) -> Iterator[None]:
    """Turn whatever the library raises at what a stranger sent into PasskeyError."""
    from webauthn.helpers.exceptions import WebAuthnException  # noqa: PLC0415 - see above

    if len(response) > MAX_RESPONSE_LENGTH:
        raise PasskeyError
    try:
        yield
    except (WebAuthnException, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise PasskeyError from error


def new_challenge(*, purpose: str) -> str:
    """Draw a challenge that is good once, for this purpose, for a few minutes. Raises StoreAwayError."""
    challenge = urlsafe_b64encode(secrets.token_bytes(CHALLENGE_BYTES)).decode().rstrip("=")
    with asking_redis():
        store.client.set(name_challenge(challenge), purpose, ex=CHALLENGE_SECONDS)
    return challenge


def take_challenge(challenge: str, *, purpose: str) -> None:
    """Use a challenge up. Raises PasskeyError for one that is used, too old or for something else."""
    with asking_redis():
        found = store.client.getdel(name_challenge(challenge))
    if found != purpose.encode():
        raise PasskeyError("That took too long. Try again.")


def name_challenge(challenge: str) -> str:
    """Name a challenge's note in Redis without telling the challenge."""
    return names.challenge(hashlib.sha256(challenge.encode()).hexdigest())


def check_name(name: str) -> str:
    """Give a passkey's name without spaces around it. Raises InvalidFieldsError."""
    name = name.strip() or "Passkey"
    if len(name) > MAX_NAME_LENGTH or has_control_characters(name):
        allowed = f"at most {MAX_NAME_LENGTH} characters, none of them control characters"
        raise InvalidFieldsError([FieldError("name", f"A passkey's name has {allowed}.", allowed)])
    return name


def record_change(session: Session, *, action: Action, passkey: Passkey, actor: Actor, at: datetime) -> None:
    """Note a change of a user's passkeys."""
    target = Target("passkey", passkey.id, passkey.name)
    record_event(session, action=action, actor=actor, target=target, at=at)
