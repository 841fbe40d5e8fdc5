"""Everything that we keep about somebody, as one JSON document that is never whole in memory.

Columns are named one by one: a secret is not exported because somebody forgot to exclude it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute

from webapp.accounts.audit import Action, Actor, record_event
from webapp.accounts.models import AuditEvent, LoginSession, Membership, Organisation, Passkey, User
from webapp.accounts.operations import user_target
from webapp.accounts.second_factors import get_second_factors
from webapp.accounts.trail import of_user
from webapp.core.clock import format_time
from webapp.core.db import db, transaction
from webapp.jobs.models import Job, JobResult
from webapp.keys.models import ApiKey
from webapp.ledger.models import Transfer
from webapp.metering.models import Usage

ROWS_AT_A_TIME = 500


Columns = tuple[InstrumentedAttribute[Any], ...]

SESSION: Columns = (
    *(LoginSession.created_at, LoginSession.last_seen_at, LoginSession.expires_at),
    *(LoginSession.revoked_at, LoginSession.address, LoginSession.user_agent),
)
PASSKEY: Columns = (Passkey.id, Passkey.name, Passkey.created_at, Passkey.last_used_at)
ORGANISATION: Columns = (Organisation.id, Organisation.name, Organisation.created_at)
MEMBERSHIP: Columns = (Membership.organisation_id, Membership.role, Membership.created_at)
KEY: Columns = (
    *(ApiKey.id, ApiKey.organisation_id, ApiKey.name, ApiKey.description, ApiKey.tags, ApiKey.prefix, ApiKey.mode),
    *(ApiKey.scopes, ApiKey.rate_limits, ApiKey.addresses),
    *(ApiKey.created_at, ApiKey.expires_at, ApiKey.disabled_at, ApiKey.revoked_at),
)
JOB: Columns = (
    *(Job.id, Job.key_id, Job.created_by_id, Job.name, Job.status, Job.template_id),
    *(Job.tags, Job.notes, Job.circuit, Job.circuits, Job.parameters),
    *(Job.options, Job.backend, Job.engine, Job.shots, Job.seed),
    *(Job.error, Job.estimated_microcredits, Job.held_microcredits, Job.charged_microcredits),
    *(Job.created_at, Job.started_at, Job.completed_at),
)
RESULT: Columns = (JobResult.job_id, JobResult.circuit, JobResult.piece, JobResult.content)
USAGE: Columns = (
    *(Usage.key_id, Usage.hour, Usage.hours, Usage.operation),
    *(Usage.calls, Usage.microcredits, Usage.last_used_at),
)
TRANSFER: Columns = (
    *(Transfer.id, Transfer.debit_account, Transfer.credit_account, Transfer.microcredits),
    *(Transfer.reason, Transfer.reference, Transfer.created_at),
)
EVENT: Columns = (
    *(AuditEvent.id, AuditEvent.action, AuditEvent.actor_label, AuditEvent.target_type, AuditEvent.target_id),
    *(AuditEvent.target_label, AuditEvent.address, AuditEvent.user_agent, AuditEvent.details, AuditEvent.created_at),
)


@dataclass(frozen=True)
class Section:
    """A list in the document: its name, and its rows."""

    name: str
    columns: Columns
    where: sa.ColumnElement[bool]
    rows_at_a_time: int = ROWS_AT_A_TIME


def export_data(*, user: User, actor: Actor, at: datetime) -> Iterator[str]:
    """Give the document's text piece by piece, having noted that it was asked for."""
    with transaction() as session:
        record_event(session, action=Action.DATA_EXPORTED, actor=actor, target=user_target(user), at=at)
    factors = get_second_factors(user.id)
    profile = {
        "id": user.id,
        "email": user.email,
        "emailVerifiedAt": to_json(user.email_verified_at),
        "createdAt": to_json(user.created_at),
        "authenticatorSince": to_json(factors.authenticator_since),
        "unusedRecoveryCodes": factors.unused_recovery_codes,
    }
    head = f'{{\n"exportedAt": {json.dumps(format_time(at))},\n"profile": {json.dumps(profile)}'
    sections = (write_section(section) for section in list_sections(user.id))
    return chain([head], *sections, write_results(user.id), ["\n}\n"])


def list_sections(user_id: str) -> list[Section]:
    """Give the lists of the document: the person's own, and those of their personal organisation."""
    own = sa.select(Organisation.id).where(Organisation.personal_user_id == user_id).scalar_subquery()
    own_keys = sa.select(ApiKey.id).where(ApiKey.organisation_id == own)
    joined = sa.select(Membership.organisation_id).where(Membership.user_id == user_id)
    # Those of an organisation that the person has left are its own affair.
    made = sa.and_(ApiKey.created_by_id == user_id, ApiKey.organisation_id.in_(joined))
    # What others did to them in an organisation tells where the others were.
    events = sa.or_(AuditEvent.actor_id == user_id, of_user(user_id))
    return [
        Section("sessions", SESSION, LoginSession.user_id == user_id),
        Section("passkeys", PASSKEY, Passkey.user_id == user_id),
        Section("organisations", ORGANISATION, Organisation.id.in_(joined)),
        Section("memberships", MEMBERSHIP, Membership.user_id == user_id),
        Section("keys", KEY, sa.or_(ApiKey.organisation_id == own, made)),
        # The programs of one job may be a megabyte.
        Section("jobs", JOB, Job.organisation_id == own, rows_at_a_time=1),
        Section("usage", USAGE, sa.or_(Usage.key_id.in_(own_keys), Usage.key_id == own)),
        Section("ledger", TRANSFER, Transfer.organisation_id == own),
        Section("audit", EVENT, events),
    ]


def write_section(section: Section) -> Iterator[str]:
    """Write one list, a row on each line."""
    names = [to_camel_case(column.name) for column in section.columns]
    statement = sa.select(*section.columns).where(section.where).order_by(section.columns[0])
    yield f',\n"{section.name}": ['
    separator = "\n"
    for row in db.session.execute(statement.execution_options(yield_per=section.rows_at_a_time)):
        yield separator + json.dumps(dict(zip(names, map(to_json, row), strict=True)))
        separator = ",\n"
    yield "]"


def write_results(user_id: str) -> Iterator[str]:
    """Write what came of the jobs of the person's own organisation, a circuit on each line; it is stored as JSON."""
    own = sa.select(Organisation.id).where(Organisation.personal_user_id == user_id).scalar_subquery()
    own_jobs = sa.select(Job.id).where(Job.organisation_id == own)
    statement = sa.select(*RESULT).where(JobResult.job_id.in_(own_jobs)).order_by(*RESULT[:3])
    yield ',\n"results": ['
    separator = "\n"
    for row in db.session.execute(statement.execution_options(yield_per=1)):
        if row.piece == 0:
            yield f'{separator}{{"jobId": {json.dumps(row.job_id)}, "circuit": {row.circuit}, '
            separator = "},\n"
        yield row.content
    yield "]" if separator == "\n" else "}]"


def to_json(value: object) -> object:
    """Write a moment as text; JSON knows the rest."""
    return format_time(value) if isinstance(value, datetime) else value


def to_camel_case(name: str) -> str:
    """Write a column's name as JSON names are written."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
