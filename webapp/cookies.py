"""Cookies belong to the console: the API neither reads nor sets one."""

from flask import Flask, Request, Response, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin

from webapp.answer_headers import API_PATH


def name_cookie(name: str, *, is_secure: bool) -> str:
    """Give a cookie's name: over TLS, one that only this host may set, for all of its pages, and only over TLS."""
    return f"__Host-{name}" if is_secure else name


class ConsoleSessions(SecureCookieSessionInterface):
    """Flask's signed cookie for the console, and an empty session for calls of the API, which so cost no signature."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Read the cookie, unless a program calls."""
        return SecureCookieSession() if request.path.startswith(API_PATH) else super().open_session(app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Set the cookie, unless a program called."""
        if not request.path.startswith(API_PATH):
            super().save_session(app, session, response)
