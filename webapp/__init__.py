"""Upcube Quantum: the one place that puts the parts together."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask, has_request_context

from config import ConfigurationError, Settings, load_settings
from webapp import errors, hooks, logs, static_files
from webapp.accounts.breaches import breached_passwords
from webapp.accounts.sessions import SESSION_LIFETIME
from webapp.admin import budget_commands, commands, credit_commands, health
from webapp.answer_headers import AnswerHeaders
from webapp.api import api
from webapp.authentication import check_routes
from webapp.cookies import ConsoleSessions, name_cookie
from webapp.core.db import db, engine_options, limit_waits
from webapp.core.redis import store
from webapp.core.sealing import sealer
from webapp.dashboard import dashboard
from webapp.extensions import csrf, login_manager, make_runtime, migrate
from webapp.proxies import TrustedProxies


class Application(Flask):
    """Flask without coroutines: it asks of each function of each request whether it is one."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Give the function as it is: none of ours is a coroutine."""
        return func


def create_app(settings: Settings | None = None) -> Flask:
    """Build the application from these settings, or from the environment. Raises ConfigurationError."""
    settings = settings or load_settings()
    # Our own route serves the files: see webapp/static_files.py.
    app = Application(__name__, static_folder=None)
    app.session_interface = ConsoleSessions()
    configure(app, settings)
    store.connect(settings.redis_url)
    sealer.use(settings.secret_key)
    breached_passwords.use(settings.breached_passwords_url)
    db.init_app(app)
    with app.app_context():
        limit_waits(db.engine, is_request=has_request_context)
    migrate.init_app(app, db, directory=str(Path(__file__).parent / "migrations"))
    if settings.requests_are_logged:
        logs.log_requests(app)
    hooks.install(app)
    errors.install(app)
    csrf.init_app(app)
    login_manager.init_app(app)
    app.register_blueprint(api)
    app.register_blueprint(dashboard)
    app.register_blueprint(health.health)
    commands.install(app)
    credit_commands.install(app)
    budget_commands.install(app)
    csrf.exempt(api)
    static_files.install(app)
    app.wsgi_app = AnswerHeaders(app.wsgi_app, is_over_tls=settings.secure_cookies)  # type: ignore[method-assign]  # Flask's way
    if settings.trusted_proxies:
        app.wsgi_app = TrustedProxies(app.wsgi_app, settings.trusted_proxies)  # type: ignore[method-assign]
    check_routes(app)
    check_prices(app)
    return app


def check_prices(app: Flask) -> None:
    """Refuse a price for an operation that the API does not have. Raises ConfigurationError."""
    known = {name.removeprefix("api.") for name in app.view_functions if name.startswith("api.")}
    for endpoint in app.extensions["upcube"].endpoint_prices_microcredits:
        if endpoint not in app.view_functions:
            operation = endpoint.removeprefix("api.")
            raise ConfigurationError(f"OPERATION_PRICES names {operation!r}; there are {', '.join(sorted(known))}.")


def configure(app: Flask, settings: Settings) -> None:
    """Set what Flask and its extensions read."""
    app.extensions["upcube"] = make_runtime(settings)
    app.config.from_mapping(
        SECRET_KEY=settings.secret_key,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(settings.database_url),
        MAX_CONTENT_LENGTH=settings.max_body_bytes,
        # Over TLS, a name that browsers keep other hosts and plain HTTP from setting (RFC 6265bis, section 4.1.3.2).
        SESSION_COOKIE_NAME=name_cookie("upcube_session", is_secure=settings.secure_cookies),
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.secure_cookies,
        PERMANENT_SESSION_LIFETIME=SESSION_LIFETIME,
        # A form may stay open as long as its session lasts.
        WTF_CSRF_TIME_LIMIT=None,
        # Our own hook asks for it, of all but calls with a key: see webapp/hooks.py.
        WTF_CSRF_CHECK_DEFAULT=False,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]  # the default provider's, which Flask types as its base
