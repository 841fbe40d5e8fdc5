"""The audit trail, read."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from webapp.accounts.models import AuditEvent
from webapp.core.db import db
from webapp.core.pages import Page, read_page

ROWS_AT_A_TIME = 500

# Chooses whose events are read.
Whose = ColumnElement[bool]


@dataclass(frozen=True)
class EventFilter:
    """Which events are wanted; what is None does not matter."""

    action: str | None = None
    # Part of the label of who acted, or their whole id.
    actor: str | None = None
    since: datetime | None = None
    before: datetime | None = None
    # Part of any label, address or browser, or a whole id.
    text: str | None = None


def of_organisation(organisation_id: str) -> Whose:
    """Choose the organisation's events."""
    return AuditEvent.organisation_id == organisation_id


def of_user(user_id: str) -> Whose:
    """Choose what a person did or had done to them outside of any organisation: log-ins, passwords and the like."""
    return and_(
        AuditEvent.organisation_id.is_(None), or_(AuditEvent.actor_id == user_id, AuditEvent.target_id == user_id)
    )


def list_events(whose: Whose, wanted: EventFilter, *, limit: int, cursor: str | None) -> Page[AuditEvent]:
    """Give the events before the cursor, newest first."""
    return read_page(select_events(whose, wanted), AuditEvent.id, limit=limit, cursor=cursor)


def each_event(whose: Whose, wanted: EventFilter) -> Iterator[AuditEvent]:
    """Give all events, oldest first, without holding them all."""
    statement = select_events(whose, wanted).order_by(AuditEvent.id)
    yield from db.session.scalars(statement.execution_options(yield_per=ROWS_AT_A_TIME))


def select_events(whose: Whose, wanted: EventFilter) -> Select[AuditEvent]:
    """Select the events that are wanted."""
    conditions = [whose]
    if wanted.action:
        conditions.append(AuditEvent.action == wanted.action)
    if wanted.actor:
        conditions.append(contains(wanted.actor, AuditEvent.actor_label) | (AuditEvent.actor_id == wanted.actor))
    if wanted.since:
        conditions.append(AuditEvent.created_at >= wanted.since)
    if wanted.before:
        conditions.append(AuditEvent.created_at < wanted.before)
    if wanted.text:
        labels = (AuditEvent.actor_label, AuditEvent.target_label, AuditEvent.address, AuditEvent.user_agent)
        ids = (AuditEvent.actor_id, AuditEvent.target_id, AuditEvent.id)
        conditions.append(or_(contains(wanted.text, *labels), *(column == wanted.text for column in ids)))
    return select(AuditEvent).where(*conditions)


def contains(text: str, *columns: InstrumentedAttribute[str]) -> ColumnElement[bool]:
    """Ask for text in any of these columns, in any case."""
    return or_(*(column.icontains(text, autoescape=True) for column in columns))
