"""How a route declares who may call it. A route that does not is refused when the application is built."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from flask import Flask

from webapp.accounts.roles import Permission

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class Public:
    """Anyone may call it."""


@dataclass(frozen=True)
class LoginRequired:
    """A person who is logged in, with this permission in the organisation they look at; None is for any.

    Where it is recent, one who has proved a short while ago who they are. Where it is for operators, the page is not
    there for anybody else.
    """

    permission: Permission | None = None
    is_recent: bool = False
    is_for_operators: bool = False


@dataclass(frozen=True)
class KeyRequired:
    """A program with an API key that has this scope; None is for any key."""

    scope: str | None


Authentication = Public | LoginRequired | KeyRequired


def declare(authentication: Authentication) -> Callable[[View], View]:
    """Give the decorator that declares a view's authentication."""

    def decorate(view: View) -> View:
        cast("Any", view).authentication = authentication
        return view

    return decorate


public = declare(Public())
login_required = declare(LoginRequired())
recent_login_required = declare(LoginRequired(is_recent=True))
operator_required = declare(LoginRequired(is_recent=True, is_for_operators=True))


def permission_required(permission: Permission) -> Callable[[View], View]:
    """Declare that a view needs a login, and a role that may do this."""
    return declare(LoginRequired(permission))


def key_required(scope: str | None) -> Callable[[View], View]:
    """Declare that a view needs an API key with this scope, or with any where it is None."""
    return declare(KeyRequired(scope))


def get_authentication(app: Flask, endpoint: str) -> Authentication:
    """Give what the endpoint's view has declared. Raises RuntimeError when that is nothing."""
    authentication = getattr(app.view_functions[endpoint], "authentication", None)
    if not isinstance(authentication, Public | LoginRequired | KeyRequired):
        raise RuntimeError(f"the route {endpoint} declares no authentication")  # noqa: TRY004 - a programming mistake
    return authentication


def check_routes(app: Flask) -> None:
    """Refuse to start with a route whose authentication is not declared."""
    for endpoint in app.view_functions:
        get_authentication(app, endpoint)
