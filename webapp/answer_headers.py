"""What every answer tells browsers that they may not do with it, and what the hooks have it tell its sender.

The fields are put to it below Flask, as they go out: adding them one by one to Flask's own headers took a fifth of a
bare dispatch.
"""

from collections.abc import Iterable
from typing import Any

Field = tuple[str, str]

# What in a request's environment holds further fields of its answer.
ANSWER_FIELDS = "upcube.answer_fields"

API_PATH = "/api/"
STATIC_PATH = "/static/"

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

EVERYWHERE = [
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    # For browsers older than frame-ancestors.
    ("X-Frame-Options", "DENY"),
]
ON_PAGES = [
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"),
]
# What programs are answered is never a page, even where a browser is led to it.
ON_DATA = [("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")]
# Two years, as the browsers' preload list asks (RFC 6797, section 6.1).
OVER_TLS = [("Strict-Transport-Security", "max-age=63072000; includeSubDomains")]
NOT_STORED = [("Cache-Control", "no-store")]

# A file, a part of it, or that it is what the browser has.
OF_FILE = frozenset({"200", "206", "304"})


class AnswerHeaders:
    """WSGI middleware that adds them."""

    def __init__(self, application: Any, *, is_over_tls: bool) -> None:  # noqa: ANN401 - a WSGI application
        self.application = application
        everywhere = [*EVERYWHERE, *(OVER_TLS if is_over_tls else [])]
        self.on_data = [*everywhere, *ON_DATA, *NOT_STORED]
        self.on_pages = [*everywhere, *ON_PAGES, *NOT_STORED]
        self.on_static = [*everywhere, *ON_PAGES]

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:  # noqa: ANN401 - WSGI's
        """Serve a request."""
        path = environ["PATH_INFO"]

        def start(status: str, headers: list[Field], *error: Any) -> Any:  # noqa: ANN401 - WSGI's
            further: list[Field] = environ.get(ANSWER_FIELDS, [])
            return start_response(status, [*headers, *self.choose(path, status), *further], *error)

        answer: Iterable[bytes] = self.application(environ, start)
        return answer

    def choose(self, path: str, status: str) -> list[Field]:
        """Give the fields for an answer at this path; in place of a file may be a page that says what is wrong."""
        if path.startswith(API_PATH):
            return self.on_data
        return self.on_static if path.startswith(STATIC_PATH) and status[:3] in OF_FILE else self.on_pages
