"""What runs in the background. Each task is thin: it calls one operation, and may run twice or die anywhere."""

import logging
from datetime import timedelta

from webapp.accounts import operations as accounts
from webapp.core import clock
from webapp.extensions import runtime
from webapp.mail import operations as mail
from webapp.mail.delivery import deliver_due_mail
from webapp.metering import budgets, flush, holds

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
    mail.prune_messages(before=before)


def deliver_mail() -> None:
    """Send the mail that is due."""
    deliver_due_mail(runtime().mail_server, now=clock.now)


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
