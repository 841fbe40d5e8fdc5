"""Flask extensions, and what the operator's settings come to for the edges."""

from dataclasses import dataclass
from typing import cast

from flask import current_app
from flask_login import LoginManager
from flask_migrate import Migrate
from flask_wtf import CSRFProtect

from config import RateLimit, Settings
from webapp.core.money import parse_credits
from webapp.metering.limits import Limit, LimitPolicy

login_manager = LoginManager()
csrf = CSRFProtect()
# compare_type and batch mode: SQLite alters a table only by copying it.
migrate = Migrate(compare_type=True, render_as_batch=True)


@dataclass(frozen=True)
class Runtime:
    """The settings in the units that operations take."""

    policy: LimitPolicy
    starting_microcredits: int
    call_price_microcredits: int
    max_body_bytes: int
    max_inline_work: int


def make_runtime(settings: Settings) -> Runtime:
    """Put the settings into the units that operations take."""
    return Runtime(
        policy=LimitPolicy(
            key=(named("key", settings.key_rate_limit),), account=(named("account", settings.account_rate_limit),)
        ),
        starting_microcredits=parse_credits(settings.starting_credits),
        call_price_microcredits=parse_credits(settings.call_price_credits),
        max_body_bytes=settings.max_body_bytes,
        max_inline_work=settings.max_inline_work,
    )


def named(name: str, limit: RateLimit) -> Limit:
    """Give a configured limit the name that it has in response headers."""
    return Limit(name=name, quota=limit.quota, window_seconds=limit.window_seconds)


def runtime() -> Runtime:
    """Give the current application's settings."""
    return cast("Runtime", current_app.extensions["upcube"])
