"""What runs in the background. Each task is thin: it calls one operation, and may run twice or die anywhere."""

import logging
from datetime import timedelta

from webapp.accounts.links import prune_links
from webapp.accounts.password_changes import answer_reset_requests
from webapp.accounts.sessions import prune_sessions
from webapp.core import clock
from webapp.extensions import runtime
from webapp.jobs import idempotency, pruning, running
from webapp.keys import notices
from webapp.mail import operations as mail
from webapp.mail.delivery import deliver_due_mail
from webapp.metering import budget_alerts, flush, holds, usage, withdrawals

KEPT_FOR = timedelta(days=30)

log = logging.getLogger(__name__)


def flush_usage() -> None:
    """Move the counters from Redis to SQL."""
    flush.flush(at=clock.now())


def send_key_notices() -> None:
    """Tell owners of keys that expire soon."""
    notices.send_expiry_notices(at=clock.now())


def prune() -> None:
    """Forget what nobody will ask for again."""
    before = clock.now() - KEPT_FOR
    prune_sessions(before=before)
    prune_links(before=before)
    flush.prune_batches(before=before)
    mail.prune_messages(before=before)
    idempotency.prune_answers(at=clock.now())
    pruning.prune_results(before=clock.now() - runtime().results_kept_for)


def deliver_mail() -> None:
    """Find out who is to get a link to reset their password, and send the mail that is due."""
    answer_reset_requests(at=clock.now())
    deliver_due_mail(runtime().mail_server, now=clock.now)


def end_overdue_holds() -> None:
    """End the holds whose process died."""
    ended = holds.end_overdue_holds(at=clock.now())
    if ended:
        log.warning("ended %s overdue holds", ended)


def recover_jobs() -> None:
    """Give the jobs of dead workers to others."""
    report = running.recover_jobs(at=clock.now())
    if report.returned or report.failed:
        log.warning("workers died: %s jobs went back to the queue, %s failed", report.returned, report.failed)


def check_budgets() -> None:
    """Tell of budgets that have reached a threshold."""
    for alert in budget_alerts.record_alerts(at=clock.now()):
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
