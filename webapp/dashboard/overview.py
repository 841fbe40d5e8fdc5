"""The console's first page."""

from flask import render_template

from webapp.accounts.roles import Permission
from webapp.authentication import permission_required
from webapp.dashboard import dashboard
from webapp.dashboard.examples import get_example
from webapp.dashboard.visitor import get_own_organisation, get_visitor
from webapp.jobs.queries import list_jobs
from webapp.metering.credits import get_credits
from webapp.metering.queries import list_keys_with_usage

RECENT_JOBS = 5


@dashboard.get("/console")
@permission_required(Permission.OVERVIEW_READ)
def overview() -> str:
    """Show credits, calls and the last jobs at a glance, and a newcomer the way to their first call."""
    organisation = get_own_organisation()
    sees_jobs = get_visitor().may(Permission.JOBS_READ)
    keys = list_keys_with_usage(organisation.id)
    return render_template(
        "overview.html",
        credits=get_credits(organisation.id),
        keys=keys,
        active_keys=sum(usage.key.revoked_at is None for usage in keys),
        calls=sum(usage.calls for usage in keys),
        jobs=list_jobs(organisation_id=organisation.id, limit=RECENT_JOBS).rows if sees_jobs else [],
        sees_jobs=sees_jobs,
        example=get_example(),
    )
