"""Sign-up: a user, their organisation, its empty balance and its starting credits, all or nothing."""

from datetime import datetime

from sqlalchemy.exc import IntegrityError

from webapp.accounts.audit import Actor
from webapp.accounts.email_addresses import send_verification
from webapp.accounts.models import Organisation, User
from webapp.accounts.operations import add_user, check_new_user, email_taken, normalise_email
from webapp.accounts.passwords import hash_password
from webapp.core.db import is_violation_of, transaction
from webapp.ledger.models import Balance
from webapp.ledger.operations import add_grant


def sign_up(
    *,
    email: str,
    password: str,
    starting_microcredits: int,
    verified: bool,
    actor: Actor,
    at: datetime,
    site_url: str = "",
) -> Organisation:
    """Make the account and give its organisation. Raises InvalidFieldsError.

    Where the site's address is given, an address that is not verified is sent a link to do so.
    """
    email = normalise_email(email)
    check_new_user(email, password)
    # Before the transaction: hashing is slow on purpose, and SQLite has one writer.
    password_hash = hash_password(password)
    try:
        with transaction() as session:
            organisation = add_user(
                session, email=email, password_hash=password_hash, verified=verified, actor=actor, at=at
            )
            if site_url and not verified:
                user = session.get_one(User, organisation.personal_user_id)
                send_verification(session, user=user, site_url=site_url, at=at)
            session.add(Balance(organisation_id=organisation.id))
            session.flush()
            if starting_microcredits:
                add_grant(
                    session,
                    organisation_id=organisation.id,
                    microcredits=starting_microcredits,
                    reason="Starting credits",
                    reference=f"signup-{organisation.id}",
                    at=at,
                )
    except IntegrityError as error:
        # Two sign-ups at once: the address was free when we looked.
        if is_violation_of(error, "email"):
            raise email_taken() from error
        raise
    return organisation
