"""The browser that asks: how it knows us, how we know it, and the cookies of a log-in."""

from urllib.parse import urlsplit

from flask import Response, after_this_request, current_app, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import login_user

from webapp.accounts.devices import LIFETIME, remember_device
from webapp.accounts.models import User
from webapp.accounts.passkeys import RelyingParty
from webapp.accounts.sessions import NewSession
from webapp.cookies import name_cookie
from webapp.dashboard.visitor import Visitor
from webapp.extensions import runtime


def get_site_url() -> str:
    """Give the address that our pages are at, without a slash at its end."""
    return runtime().public_url or request.host_url.rstrip("/")


def get_party() -> RelyingParty:
    """Give the host that passkeys are for."""
    site = get_site_url()
    return RelyingParty(id=urlsplit(site).hostname or "", origin=site)


def get_device() -> str:
    """Give what this browser is known by, where somebody has logged in from it before."""
    return request.cookies.get(name_device_cookie(), "")


def name_device_cookie() -> str:
    """Give the name of the cookie that a browser is known by."""
    return name_cookie("upcube_device", is_secure=current_app.config["SESSION_COOKIE_SECURE"])


def begin_session(new: NewSession, user: User) -> ResponseReturnValue:
    """Give the browser its session, know it from now on, and go on to the page that was asked for."""
    # A fresh cookie: nothing set before the log-in is carried into it.
    session.clear()
    session.permanent = True
    login_user(Visitor(new.token, user))
    know_browser(user)
    return redirect(get_next_page())


def know_browser(user: User) -> None:
    """Know this browser from now on as one of the user's: strangers who guess no longer keep it out."""
    known_by = remember_device(get_device(), user.email)

    def set_cookie(response: Response) -> Response:
        response.set_cookie(
            name_device_cookie(),
            known_by,
            max_age=LIFETIME,
            secure=current_app.config["SESSION_COOKIE_SECURE"],
            httponly=True,
            samesite="Lax",
        )
        return response

    after_this_request(set_cookie)


def renew_session(new: NewSession, user: User) -> None:
    """Give the browser the other token that its session has from now on."""
    login_user(Visitor(new.token, user, is_confirmed=True))


def get_next_page(default: str = "dashboard.overview") -> str:
    """Give the page to go on to: one of ours, never another site's."""
    target = request.args.get("next")
    if target and target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable():
        return target
    return url_for(default)
