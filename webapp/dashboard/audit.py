"""The audit trail: an organisation's for those who run it, and each person's own."""

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from flask import Response, render_template, request
from flask.typing import ResponseReturnValue
from wtforms import DateField, Field, Form, StringField
from wtforms.validators import AnyOf, Length, Optional, ValidationError

from webapp.accounts.audit import Action, record_export
from webapp.accounts.models import AuditEvent
from webapp.accounts.roles import Permission
from webapp.accounts.trail import EventFilter, Whose, each_event, list_events, of_organisation, of_user
from webapp.authentication import login_required, permission_required
from webapp.core import clock
from webapp.core.clock import format_time
from webapp.core.errors import FieldError, InvalidFieldsError
from webapp.core.text import has_control_characters
from webapp.dashboard import dashboard
from webapp.dashboard.exports import as_text, send_file, write_csv, write_json
from webapp.dashboard.visitor import get_actor, get_own_organisation, get_visitor

EVENTS_PER_PAGE = 50
MAX_TEXT_LENGTH = 100
# The last event of the page before, as our own links have it.
CURSOR = re.compile(r"evt_[0-9a-z]{26}")
COLUMNS = (
    "time",
    "action",
    "actorType",
    "actorId",
    "actor",
    "targetType",
    "targetId",
    "target",
    "address",
    "userAgent",
    "details",
    "id",
)


def check_one_line(_form: Form, field: Field) -> None:
    """Refuse what the database could not be asked for."""
    if field.data and has_control_characters(field.data):
        raise ValidationError("Search for text without control characters.")


class FilterForm(Form):
    """Which events are wanted; all by default."""

    action = StringField("What", [Optional(), AnyOf(list(Action), "This is not an action.")])
    actor = StringField("Who", [Length(max=MAX_TEXT_LENGTH), check_one_line])
    since = DateField("From", [Optional()], name="from")
    until = DateField("To", [Optional()], name="to")
    text = StringField("Search", [Length(max=MAX_TEXT_LENGTH), check_one_line], name="q")

    def read(self) -> EventFilter:
        """Give the filter that the form asks for. Raises InvalidFieldsError."""
        if not self.validate():
            raise InvalidFieldsError([FieldError(field.name, message) for field in self for message in field.errors])
        return EventFilter(
            action=self.action.data or None,
            actor=(self.actor.data or "").strip() or None,
            since=start_of(self.since.data),
            before=end_of(self.until.data),
            text=(self.text.data or "").strip() or None,
        )


def start_of(day: date | None) -> datetime | None:
    """Give the moment at which a day begins, in UTC."""
    return datetime.combine(day, time(), UTC) if day else None


def end_of(day: date | None) -> datetime | None:
    """Give the moment at which a day ends, in UTC; the last day that there is never does."""
    return start_of(day + timedelta(days=1)) if day and day < date.max else None


@dashboard.get("/console/audit")
@permission_required(Permission.AUDIT_READ)
def audit() -> ResponseReturnValue:
    """Show who did what in the organisation."""
    return render_events(of_organisation(get_own_organisation().id), "audit.html")


@dashboard.get("/console/audit.<any(csv, json):kind>")
@permission_required(Permission.AUDIT_READ)
def export_audit(kind: str) -> Response:
    """Give the events that the filter leaves as a file, and note that they were taken."""
    organisation_id = get_own_organisation().id
    wanted = FilterForm(request.args).read()
    record_export(action=Action.AUDIT_EXPORTED, organisation_id=organisation_id, actor=get_actor(), at=clock.now())
    return send_events(each_event(of_organisation(organisation_id), wanted), kind)


@dashboard.get("/console/activity")
@login_required
def activity() -> ResponseReturnValue:
    """Show the visitor their own log-ins and the like."""
    return render_events(of_user(get_visitor().user.id), "activity.html")


@dashboard.get("/console/activity.<any(csv, json):kind>")
@login_required
def export_activity(kind: str) -> Response:
    """Give the visitor's own events as a file."""
    wanted = FilterForm(request.args).read()
    return send_events(each_event(of_user(get_visitor().user.id), wanted), kind)


def render_events(whose: Whose, template: str) -> ResponseReturnValue:
    """Render a page of events, or what is wrong with the filter."""
    form = FilterForm(request.args)
    cursor = request.args.get("cursor", "")
    try:
        wanted = form.read()
    except InvalidFieldsError:
        return render_template(template, form=form, actions=list(Action), page=None, query={}, cursor=""), 422
    page = list_events(whose, wanted, limit=EVENTS_PER_PAGE, cursor=cursor if CURSOR.fullmatch(cursor) else None)
    query = {name: value for name, value in request.args.items() if value and name != "cursor"}
    return render_template(template, form=form, actions=list(Action), page=page, query=query, cursor=cursor)


def send_events(events: Iterable[AuditEvent], kind: str) -> Response:
    """Answer with the events as a file, oldest first."""
    lines = write_json(map(render_event, events)) if kind == "json" else write_csv(each_row(events))
    mimetype = "application/json" if kind == "json" else "text/csv"
    return send_file(lines, name=f"upcube-audit.{kind}", mimetype=mimetype)


def render_event(event: AuditEvent) -> dict[str, Any]:
    """Write an event as JSON."""
    return {
        "time": format_time(event.created_at),
        "action": event.action,
        "actorType": event.actor_type,
        "actorId": event.actor_id,
        "actor": event.actor_label,
        "targetType": event.target_type,
        "targetId": event.target_id,
        "target": event.target_label,
        "address": event.address,
        "userAgent": event.user_agent,
        "details": event.details,
        "id": event.id,
    }


def each_row(events: Iterable[AuditEvent]) -> Iterator[Iterable[str]]:
    """Give the CSV file's header and its rows."""
    yield COLUMNS
    for event in events:
        cells = render_event(event)
        cells["details"] = json.dumps(cells["details"], ensure_ascii=False)
        yield (as_text(cells[column] or "") for column in COLUMNS)
