"""Every error, rendered in one place: JSON for programs, a page for people."""

import logging
from http import HTTPStatus
from typing import Any

from flask import Flask, g, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from webapp.core.db import AWAY
from webapp.core.errors import FieldError, StoreAwayError, UpcubeError
from webapp.security_headers import API_PATH

log = logging.getLogger(__name__)


def install(app: Flask) -> None:
    """Render everything that a request can raise."""
    app.register_error_handler(UpcubeError, render_error)
    app.register_error_handler(HTTPException, render_http)
    for away in AWAY:
        app.register_error_handler(away, lambda _: render_error(database_away()))
    app.register_error_handler(Exception, render_unexpected)


def database_away() -> StoreAwayError:
    """Give the error for a read that the database did not answer."""
    return StoreAwayError("The database does not answer; no job was charged. Try again shortly.")


def render_http(error: HTTPException) -> ResponseReturnValue:
    """Put one of Werkzeug's errors into ours; its redirects stay what they are."""
    if error.code is None or error.code < HTTPStatus.BAD_REQUEST:
        return error
    ours = UpcubeError(
        "There is nothing at this address." if error.code == HTTPStatus.NOT_FOUND else error.description or error.name
    )
    ours.status = error.code
    ours.code = error.name.lower().replace(" ", "_")
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        ours.headers = {"Allow": ", ".join(sorted(error.valid_methods))}
    return render_error(ours)


def render_unexpected(error: Exception) -> ResponseReturnValue:
    """Answer 500 and log why; the client learns only the request's id."""
    log.error("the request failed", exc_info=error)
    return render_error(UpcubeError("Something went wrong on our side. No job was charged."))


def render_error(error: UpcubeError) -> ResponseReturnValue:
    """Answer with the error in the caller's language."""
    if isinstance(error, StoreAwayError):
        log.warning("answered 503: %s", error.message, exc_info=error.__cause__)
    headers = dict(error.headers)
    if request.path.startswith(API_PATH):
        return {"error": render_envelope(error)}, error.status, headers
    page = render_template("error.html", error=error, request_id=g.get("request_id"))
    return page, error.status, headers


def render_envelope(error: UpcubeError) -> dict[str, Any]:
    """Write the error as the contract's envelope."""
    return {
        "code": error.code,
        "message": error.message,
        "target": error.target,
        "requestId": g.get("request_id"),
        "details": [render_detail(detail) for detail in error.details],
        **error.extra,
    }


def render_detail(detail: FieldError) -> dict[str, Any]:
    """Write one wrong field."""
    return {"path": detail.path, "message": detail.message, "allowed": detail.allowed}
