"""A new organisation, with its empty balance."""

from datetime import datetime

from webapp.accounts.audit import Actor
from webapp.accounts.models import Organisation, User
from webapp.accounts.organisations import add_organisation
from webapp.core.db import transaction
from webapp.ledger.models import Balance


def create_organisation(*, name: str, owner: User, actor: Actor, at: datetime) -> Organisation:
    """Make an organisation that the user owns. It starts without credits: they would be free for ever otherwise.

    Raises InvalidFieldsError or OrganisationError.
    """
    with transaction() as session:
        organisation = add_organisation(session, name=name, owner=owner, actor=actor, at=at)
        session.add(Balance(organisation_id=organisation.id))
    return organisation
