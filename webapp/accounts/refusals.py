"""Refusals for want of a right, noted in the audit trail: somebody looks for what their place does not allow."""

from datetime import datetime

from webapp.accounts.audit import Action, Actor, record_event
from webapp.accounts.throttle import Counter, TooManyAttemptsError, take_attempt
from webapp.core.db import transaction

# A page that reloads itself, or a program that tries again, leaves one event in so long for each thing that it wants.
QUIET_SECONDS = 60 * 60
# Of one actor, whatever they want: a key may word its wishes in many ways.
MAX_PER_HOUR = 20


def note_refusal(*, organisation_id: str, actor: Actor, wanted: str, at: datetime) -> None:
    """Note that somebody was refused what they wanted, once an hour for each thing. Raises StoreAwayError."""
    who = f"{actor.id} in {organisation_id}"
    try:
        take_attempt(
            [
                Counter(f"refusal of {wanted} to {who}", 1, QUIET_SECONDS),
                Counter(f"refusal to {who}", MAX_PER_HOUR, QUIET_SECONDS),
            ]
        )
    except TooManyAttemptsError:
        return
    with transaction() as session:
        record_event(
            session,
            action=Action.PERMISSION_REFUSED,
            actor=actor,
            organisation_id=organisation_id,
            details={"wanted": wanted},
            at=at,
        )
