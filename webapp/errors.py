"""Every error, rendered in one place: JSON for programs, a page for people."""

import logging
import re
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from flask import Flask, g, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from webapp.accounts.audit import user_actor
from webapp.accounts.organisations import NotAllowedError
from webapp.accounts.refusals import note_refusal
from webapp.answer_headers import API_PATH
from webapp.core import clock
from webapp.core.db import AWAY
from webapp.core.errors import FieldError, StoreAwayError, UpcubeError
from webapp.hooks import get_key_actor, get_origin, get_principal
from webapp.metering.delegation import BeyondKeyError

log = logging.getLogger(__name__)

# What a page is headed with that says an error of this status.
HEADINGS = {
    400: "That request did not arrive whole",
    401: "Please log in",
    403: "This is not yours to see",
    404: "Nothing to observe here",
    405: "This address does not work that way",
    409: "That does not fit any more",
    410: "That link is over",
    413: "That was too large",
    429: "A little slower, please",
    500: "That is our mistake",
    503: "Back in a moment",
}
OTHER_HEADING = "That did not work"


class StaleFormError(UpcubeError):
    """A form's token is of another session, or there is none."""

    status = 400
    code = "stale_form"
    heading = "That page is out of date"

    def __init__(self, reason: str) -> None:
        super().__init__(
            "You logged in or out since it was opened, perhaps in another tab. Nothing was done. Go back, reload the "
            f"page, and send it once more. ({reason.removesuffix('.')}.)"
        )


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
    if isinstance(error, CSRFError):
        return render_error(StaleFormError(error.description or error.name))
    ours = UpcubeError(
        "There is nothing at this address." if error.code == HTTPStatus.NOT_FOUND else error.description or error.name
    )
    ours.status = error.code
    ours.code = error.name.lower().replace(" ", "_")
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        allowed = ", ".join(sorted(error.valid_methods))
        ours.message, ours.headers = f"{request.method} is not allowed here; allowed are {allowed}.", {"Allow": allowed}
    return render_error(ours)


def render_unexpected(error: Exception) -> ResponseReturnValue:
    """Answer 500 and log why; the client learns only the request's id."""
    log.error("the request failed", exc_info=error)
    return render_error(UpcubeError("Something went wrong on our side. No job was charged."))


def render_error(error: UpcubeError) -> ResponseReturnValue:
    """Answer with the error in the caller's language."""
    if isinstance(error, StoreAwayError):
        log.warning("answered 503: %s", error.message, exc_info=error.__cause__)
    with suppress(StoreAwayError):
        leave_trace(error)
    headers = dict(error.headers)
    if request.path.startswith(API_PATH):
        return {"error": render_envelope(error)}, error.status, headers
    heading = error.heading or HEADINGS.get(error.status, OTHER_HEADING)
    page = render_template("error.html", error=error, heading=heading, request_id=g.get("request_id"))
    return page, error.status, headers


def leave_trace(error: UpcubeError) -> None:
    """Note in the audit trail who wanted what their role, or their key, does not allow. Raises StoreAwayError."""
    if isinstance(error, NotAllowedError) and error.wanted:
        actor, organisation_id = user_actor(current_user.user, get_origin()), current_user.membership.organisation_id
        note_refusal(organisation_id=organisation_id, actor=actor, wanted=error.wanted, at=clock.now())
    elif isinstance(error, BeyondKeyError):
        # Without the places in lists, which are up to whoever asks.
        wanted = ", ".join(dict.fromkeys(re.split(r"[.\[]", detail.path)[0] for detail in error.details))
        organisation_id = get_principal().organisation_id
        note_refusal(
            organisation_id=organisation_id, actor=get_key_actor(), wanted=f"{wanted} of a key", at=clock.now()
        )


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
    return {"path": detail.path, "message": detail.sentence, "allowed": detail.allowed}
