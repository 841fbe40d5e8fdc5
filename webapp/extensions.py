"""Flask extensions, and what the operator's settings come to for the edges."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

from flask import current_app
from flask_login import LoginManager
from flask_migrate import Migrate
from flask_wtf import CSRFProtect

from config import MailServer, RateLimit, Settings
from webapp.core.money import parse_credits
from webapp.jobs.operations import Service
from webapp.jobs.plans import JobLimits
from webapp.jobs.quotes import QuoteBook
from webapp.metering.limits import Limit, LimitPolicy

login_manager = LoginManager()
csrf = CSRFProtect()
# compare_type and batch mode: SQLite alters a table only by copying it.
migrate = Migrate(compare_type=True, render_as_batch=True)


@dataclass(frozen=True)
class Runtime:
    """The settings in the units that operations take."""

    policy: LimitPolicy
    jobs: Service
    results_kept_for: timedelta
    starting_microcredits: int
    call_price_microcredits: int
    # By endpoint, where it differs from the price of any other call.
    endpoint_prices_microcredits: Mapping[str, int]
    # For how long usage is kept by the hour, before it is rolled up to days.
    usage_hours_kept: timedelta
    max_body_bytes: int
    # Empty where the address of the request is the right one.
    public_url: str
    # None where mail stays in the outbox.
    mail_server: MailServer | None
    outbox_is_shown: bool
    # The public keys of who may sign reports of leaked keys, as PEM by identifier.
    leak_reporter_keys: Mapping[str, str]
    require_verified_email: bool
    admin_emails: frozenset[str]

    def price_of(self, endpoint: str) -> int:
        """Give what a call of this endpoint costs, in micro-credits."""
        return self.endpoint_prices_microcredits.get(endpoint, self.call_price_microcredits)


def make_runtime(settings: Settings) -> Runtime:
    """Put the settings into the units that operations take."""
    return Runtime(
        policy=LimitPolicy(
            key=tuple(named("key", limit) for limit in settings.key_rate_limits),
            account=tuple(named("account", limit) for limit in settings.account_rate_limits),
        ),
        jobs=Service(
            limits=JobLimits(
                max_inline_work=settings.max_inline_work,
                max_concurrent_jobs=settings.max_concurrent_jobs,
                timeout_seconds=settings.job_timeout_seconds,
                workers=max(settings.job_workers, 1),
            ),
            quotes=QuoteBook(settings.secret_key),
        ),
        results_kept_for=timedelta(days=settings.results_kept_days),
        starting_microcredits=parse_credits(settings.starting_credits),
        call_price_microcredits=parse_credits(settings.call_price_credits),
        endpoint_prices_microcredits={
            f"api.{operation}": parse_credits(price) for operation, price in settings.operation_prices_credits.items()
        },
        usage_hours_kept=timedelta(days=settings.usage_hours_kept_days),
        max_body_bytes=settings.max_body_bytes,
        public_url=settings.public_url,
        mail_server=settings.mail_server,
        outbox_is_shown=settings.outbox_is_shown,
        leak_reporter_keys=settings.leak_reporter_keys,
        require_verified_email=settings.require_verified_email,
        admin_emails=settings.admin_emails,
    )


def named(level: str, limit: RateLimit) -> Limit:
    """Give a configured limit the name that it has in response headers: key, or key-burst where there are several."""
    name = f"{level}-{limit.name}" if limit.name else level
    return Limit(name=name, quota=limit.quota, window_seconds=limit.window_seconds)


def runtime() -> Runtime:
    """Give the current application's settings."""
    return cast("Runtime", current_app.extensions["upcube"])
