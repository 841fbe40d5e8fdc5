"""The service as a whole, for its operators: people, credits, queues, stores and versions. It changes nothing."""

import platform
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from flask import render_template, request

from webapp.accounts.queries import count_organisations, count_users, list_newest_organisations, search_users
from webapp.authentication import operator_required
from webapp.core import clock
from webapp.core.errors import StoreAwayError
from webapp.core.health import check_stores, read_schema_revision
from webapp.dashboard import dashboard
from webapp.jobs.models import JobStatus
from webapp.jobs.queries import count_ended
from webapp.jobs.turns import count_jobs
from webapp.ledger.queries import sum_balances
from webapp.metering.backlog import Backlog, read_backlog
from webapp.metering.checks import LastCheck, get_last_check, run_check
from webapp.metering.queries import sum_kept_holds
from webapp.metering.verify import Difference

DAY = timedelta(days=1)
SHOWN_ROWS = 10
MAX_SEARCH_LENGTH = 254
PACKAGES = ("Flask", "SQLAlchemy", "redis", "rq", "qulacs", "stim", "qsimcirq", "qiskit-aer")


@dataclass(frozen=True)
class Metering:
    """What Redis says of metering: what waits to be flushed, and the last check of the ledger."""

    backlog: Backlog
    last_check: LastCheck | None


@dashboard.get("/admin")
@operator_required
def service() -> str:
    """Show the service."""
    return render_service()


@dashboard.post("/admin/verify")
@operator_required
def check_ledger() -> str:
    """Check every account's invariant now, and say what differs."""
    return render_service(differences=run_check(at=clock.now()))


def render_service(*, differences: list[Difference] | None = None) -> str:
    """Render the page. It is there while Redis is not, and says so."""
    now, search = clock.now(), request.args.get("q", "").strip()[:MAX_SEARCH_LENGTH].replace("\0", "")
    return render_template(
        "service.html",
        users=(count_users(), count_users(since=now - DAY)),
        organisations=(count_organisations(), count_organisations(since=now - DAY)),
        jobs={status: count_jobs(status) for status in (JobStatus.QUEUED, JobStatus.RUNNING)},
        ended={status: count_ended(status, since=now - DAY) for status in (JobStatus.COMPLETED, JobStatus.FAILED)},
        balances=sum_balances(),
        held=sum_kept_holds(),
        metering=read_metering(),
        differences=differences,
        stores=check_stores(),
        versions={**list_versions(), "Migration": read_schema_revision()},
        search=search,
        people=search_users(search, limit=SHOWN_ROWS),
        newest=list_newest_organisations(limit=SHOWN_ROWS),
        shown=SHOWN_ROWS,
    )


def read_metering() -> Metering | None:
    """Ask Redis; None where it does not answer."""
    try:
        return Metering(read_backlog(), get_last_check())
    except StoreAwayError:
        return None


@cache
def list_versions() -> dict[str, str]:
    """Give the versions of what we are made of, without loading any of it."""
    found = {"Python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
