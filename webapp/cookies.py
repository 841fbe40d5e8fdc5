"""Cookies belong to the pages of the console: neither the API nor a file reads or sets one."""

from flask import Flask, Request, Response, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin

from webapp.answer_headers import API_PATH, STATIC_PATH

WITHOUT_COOKIES = (API_PATH, STATIC_PATH)


def name_cookie(name: str, *, is_secure: bool) -> str:
    """Give a cookie's name: over TLS, one that only this host may set, for all of its pages, and only over TLS."""
    return f"__Host-{name}" if is_secure else name


class ConsoleSessions(SecureCookieSessionInterface):
    """Flask's signed cookie for pages, and an empty session for all else.

    So calls of the API cost no signature, and a browser keeps a file whoever logs in.
    """

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Read the cookie of a page."""
        is_without = request.path.startswith(WITHOUT_COOKIES)
        return SecureCookieSession() if is_without else super().open_session(app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Set the cookie of a page."""
        if not request.path.startswith(WITHOUT_COOKIES):
            super().save_session(app, session, response)
