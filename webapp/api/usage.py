"""Usage: calls and credits, by key, day, hour or endpoint; jobs and their credits by backend."""

from datetime import UTC, datetime, timedelta

from webapp.api import api
from webapp.api.responses import UsageJson, UsageTotalJson
from webapp.api.schemas import MAX_USAGE_DAYS, UsageQuery, read_query, refuse, takes
from webapp.authentication import key_required
from webapp.core import clock
from webapp.core.clock import format_time
from webapp.core.errors import FieldError
from webapp.core.money import format_credits
from webapp.endpoints import name_endpoint
from webapp.hooks import get_principal
from webapp.jobs.queries import list_usage_by_backend
from webapp.metering.queries import GroupedUsage, list_usage

DEFAULT_DAYS = 7
HOUR = timedelta(hours=1)


@api.get("/usage")
@key_required("usage:read")
@takes(query=UsageQuery)
def read_usage() -> UsageJson:
    """Give what the account was used for, from the hour of `from` up to that of `to`, flushed within seconds."""
    query = read_query(UsageQuery)
    since, until = find_period(query, at=clock.now())
    organisation_id = get_principal().organisation_id
    if query.group_by == "backend":
        found = list_usage_by_backend(organisation_id, since=since, until=until)
    else:
        found = list_usage(organisation_id, since=since, until=until, group_by=query.group_by)
    return {
        "from": format_time(since),
        "to": format_time(until),
        "groupBy": query.group_by,
        "usage": [
            {
                "group": each.group,
                "name": name_group(each, query.group_by),
                "calls": each.calls,
                "credits": format_credits(each.microcredits),
            }
            for each in found
        ],
        "total": render_total(found),
    }


def name_group(group: GroupedUsage, group_by: str) -> str | None:
    """Give the words for a group: a key's name, or the method and path of an endpoint."""
    return name_endpoint(group.group) if group_by == "endpoint" else group.name


def render_total(found: list[GroupedUsage]) -> UsageTotalJson:
    """Add the groups up."""
    return {
        "calls": sum(each.calls for each in found),
        "credits": format_credits(sum(each.microcredits for each in found)),
    }


def find_period(query: UsageQuery, *, at: datetime) -> tuple[datetime, datetime]:
    """Give the period in whole hours. Raises InvalidFieldsError for one that is turned round or too long."""
    until = start_of_hour(query.to or at) + (HOUR if query.to is None else timedelta(0))
    since = start_of_hour(query.from_ or until - timedelta(days=DEFAULT_DAYS))
    if not since < until <= since + timedelta(days=MAX_USAGE_DAYS):
        allowed = f"at least an hour and at most {MAX_USAGE_DAYS} days before to"
        refuse([FieldError("from", "The period is empty or too long.", allowed)])
    return since, until


def start_of_hour(moment: datetime) -> datetime:
    """Give the moment at which this hour began, in UTC."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
