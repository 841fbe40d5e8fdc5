"""Who is looking at the page."""

from typing import Any, cast

from flask import g, request, session
from flask_login import UserMixin, current_user
from flask_wtf.csrf import generate_csrf
from markupsafe import Markup

from webapp.accounts.audit import Actor, user_actor
from webapp.accounts.models import Membership, Organisation, User
from webapp.accounts.queries import get_current_membership, get_live_session, list_memberships
from webapp.accounts.roles import Permission, Role, is_allowed
from webapp.accounts.sessions import is_confirmed, note_use
from webapp.core import clock
from webapp.core.memo import remembered
from webapp.dashboard import dashboard
from webapp.extensions import login_manager, runtime
from webapp.hooks import get_origin, get_page_address
from webapp.keys.models import ApiKey
from webapp.keys.queries import get_own_key


class Visitor(UserMixin):  # type: ignore[misc]  # Flask-Login has no types
    """A person who is logged in, known to Flask-Login by their session's token rather than by their id."""

    def __init__(self, token: str, user: User, *, is_confirmed: bool = False) -> None:
        self.token = token
        self.user = user
        # Whether they have proved a short while ago who they are.
        self.is_confirmed = is_confirmed

    @remembered
    def membership(self) -> Membership:
        """The place in the organisation that the pages show: the chosen one, or the personal one."""
        return get_current_membership(self.user.id, session.get("organisation_id"))

    @remembered
    def memberships(self) -> list[Membership]:
        """Every organisation that there is to choose from."""
        return list_memberships(self.user.id)

    @property
    def is_operator(self) -> bool:
        """Whether they run this service: by their address, which must be verified to be theirs."""
        return self.user.email_verified_at is not None and self.user.email in runtime().admin_emails

    def may(self, permission: str) -> bool:
        """Tell whether the role in that organisation allows this."""
        return is_allowed(Role(self.membership.role), Permission(permission))

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


def get_asked_key() -> ApiKey | None:
    """Give the key that the query asks for, if it names one. Raises NotFoundError, for somebody else's too."""
    key_id = request.args.get("key", "").replace("\0", "")
    return get_own_key(organisation_id=get_own_organisation().id, key_id=key_id) if key_id else None


def get_actor() -> Actor:
    """Give who is logged in as the audit trail names them."""
    return user_actor(get_visitor().user, get_origin())


def get_own_organisation() -> Organisation:
    """Give the organisation whose keys, jobs and credits the pages show."""
    return get_visitor().membership.organisation


def choose_organisation(organisation_id: str) -> None:
    """Show this organisation from now on. Whether the visitor belongs to it is asked at each request."""
    session["organisation_id"] = organisation_id


def forget_organisation() -> None:
    """Show the visitor's personal account from now on."""
    session.pop("organisation_id", None)


dashboard.add_app_template_global(get_page_address)


@dashboard.app_template_global()
def form_guard() -> Markup:
    """Write the hidden fields of a form of the console: against forgery, and the organisation that the page shows."""
    field = Markup('<input type="hidden" name="{}" value="{}">')
    organisation_id = get_visitor().membership.organisation_id
    return field.format("csrf_token", generate_csrf()) + field.format("organisation_id", organisation_id)
