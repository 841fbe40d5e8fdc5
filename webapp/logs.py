"""Logs: one JSON object a line, with the request that it belongs to, and never a secret."""

import logging
import re
import time
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import structlog
from flask import Flask, Response, g, has_request_context, request

from webapp.metering.admission import Admission

# What must never be written down, should it ever get into a message, a path or a traceback: tokens of keys, bearer
# headers, our cookies, and the tokens of links in mail.
SECRETS = re.compile(
    r"(upcube_sk_)[0-9A-Za-z]+|(\bBearer +)[^\s\"',]+|(upcube_\w+=)[^\s;\"']+|([?&]token=)[^\s&\"']+"
    r"|(/(?:reset|verify|invitations)/)[\w-]{12,}",
    re.IGNORECASE,
)

log = logging.getLogger(__name__)


def configure(*, in_json: bool, stream: TextIO | None = None) -> None:
    """Send every log line of this process to standard error, as JSON for machines or as text for people."""
    render = structlog.processors.JSONRenderer() if in_json else structlog.dev.ConsoleRenderer(colors=False)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            add_request,
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            render,
            mask_secrets,
        ],
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)


def add_request(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Say which request a line belongs to, and whose it was. The query string stays out: people put secrets there."""
    if has_request_context():
        event.update({"request_id": g.get("request_id"), "method": request.method, "path": request.path})
        admission: Admission | None = g.get("admission")
        if admission is not None and admission.principal is not None:
            principal = admission.principal
            event.update({"key_id": principal.key_id, "organisation_id": principal.organisation_id})
    return event


def mask_secrets(_logger: object, _method: str, line: str | bytes | Mapping[str, Any]) -> str:
    """Put stars over what looks like a secret, whatever wrote it there."""
    return SECRETS.sub(lambda match: f"{next(filter(None, match.groups()))}***", str(line))


def log_requests(app: Flask) -> None:
    """Write a line for every request, with its status and its milliseconds."""

    def begin() -> None:
        g.began = time.perf_counter()

    def end(response: Response) -> Response:
        milliseconds = round((time.perf_counter() - g.began) * 1000, 1)
        log.info("request", extra={"status": response.status_code, "milliseconds": milliseconds})
        return response

    app.before_request(begin)
    app.after_request(end)
