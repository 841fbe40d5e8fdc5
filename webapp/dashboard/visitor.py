"""Who is looking at the page."""

from typing import Any, cast

from flask import g
from flask_login import UserMixin, current_user

from webapp.accounts.audit import Actor, user_actor
from webapp.accounts.models import Organisation, User
from webapp.accounts.queries import get_live_session, get_personal_organisation
from webapp.accounts.sessions import is_confirmed, note_use
from webapp.core import clock
from webapp.extensions import login_manager
from webapp.hooks import get_origin


class Visitor(UserMixin):  # type: ignore[misc]  # Flask-Login has no types
    """A person who is logged in, known to Flask-Login by their session's token rather than by their id."""

    def __init__(self, token: str, user: User, *, is_confirmed: bool = False) -> None:
        self.token = token
        self.user = user
        # Whether they have proved a short while ago who they are.
        self.is_confirmed = is_confirmed

    def get_id(self) -> str:
        """Give what Flask-Login keeps in the cookie."""
        return self.token


@login_manager.user_loader  # type: ignore[untyped-decorator]  # Flask-Login has no types
def load_visitor(token: str) -> Visitor | None:
    """Give the visitor of this session while it lasts.

    The page that reports an error asks again who is looking. Where looking that up is what failed, nobody is: raising
    once more would leave no page at all.
    """
    if g.get("visitor_is_unknown"):
        return None
    try:
        found = get_live_session(token, at=clock.now())
        if found is None:
            return None
        note_use(found, origin=get_origin(), at=clock.now())
    except Exception:
        g.visitor_is_unknown = True
        raise
    return Visitor(token, found.user, is_confirmed=is_confirmed(found, at=clock.now()))


def get_visitor() -> Visitor:
    """Give who is logged in, on a page that asks for it."""
    return cast("Visitor", cast("Any", current_user)._get_current_object())  # noqa: SLF001 - Werkzeug's way to unwrap a proxy


def get_actor() -> Actor:
    """Give who is logged in as the audit trail names them."""
    return user_actor(get_visitor().user, get_origin())


def get_own_organisation() -> Organisation:
    """Give the organisation whose keys, jobs and credits the pages show."""
    return get_personal_organisation(get_visitor().user.id)
