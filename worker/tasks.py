"""What runs in the background. Each task is thin: it calls one operation, and may run twice or die anywhere."""

import logging
from datetime import timedelta

from webapp.accounts import operations as accounts
from webapp.core import clock
from webapp.extensions import runtime
from webapp.metering import budgets, flush, holds, usage, withdrawals

KEPT_FOR = timedelta(days=30)

log = logging.getLogger(__name__)


def flush_usage() -> None:
    """Move the counters from Redis to SQL."""
    flush.flush(at=clock.now())


def prune() -> None:
    """Forget what nobody will ask for again."""
    before = clock.now() - KEPT_FOR
    accounts.prune_sessions(before=before)
    flush.prune_batches(before=before)


def end_overdue_holds() -> None:
    """End the holds whose process died."""
    ended = holds.end_overdue_holds(at=clock.now())
    if ended:
        log.warning("ended %s overdue holds", ended)


def check_budgets() -> None:
    """Tell of budgets that have reached a threshold."""
    for alert in budgets.record_alerts(at=clock.now()):
        log.info(
            "%s percent of the budget of %s (%s) are used",
            alert.threshold_percent,
            alert.spender or alert.organisation_id,
            alert.period,
        )


def expire_credits() -> None:
    """Take the credits that are past their date."""
    withdrawals.expire_credits(at=clock.now())


def roll_up_usage() -> None:
    """Keep old usage by the day instead of the hour."""
    usage.roll_up_usage(before=clock.now() - runtime().usage_hours_kept)
