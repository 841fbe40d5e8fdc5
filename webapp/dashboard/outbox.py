"""The outbox: mail that nobody sends, where no mail server is configured, for whoever develops on this machine."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import render_template, request

from config import LOOPBACK_HOSTS
from webapp.authentication import public
from webapp.core.errors import NotFoundError
from webapp.dashboard import dashboard
from webapp.extensions import runtime
from webapp.mail.queries import list_letters

# A proxy on this machine makes a stranger's request look like one from here; each of these tells of a proxy.
PROXY_HEADERS = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Via")


@dashboard.get("/outbox")
@public
def outbox() -> str:
    """Show the newest messages with their links. Raises NotFoundError for anybody but this machine's own user."""
    if not may_read_outbox():
        raise NotFoundError("There is nothing at this address.")
    return render_template("outbox.html", letters=list_letters())


def may_read_outbox() -> bool:
    """Tell whether the outbox is shown, and to this request: its links let their reader into any account.

    A proxy that adds no header still shows: it passes the name on that the browser asked for, or speaks HTTP/1.0, as
    nginx does by itself.
    """
    return (
        runtime().outbox_is_shown
        and is_loopback(request.remote_addr or "")
        and urlsplit(f"//{request.host}").hostname in LOOPBACK_HOSTS
        and not any(header in request.headers for header in PROXY_HEADERS)
        and request.environ.get("SERVER_PROTOCOL") != "HTTP/1.0"
    )


def is_loopback(address: str) -> bool:
    """Tell whether an address is this machine's own."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
