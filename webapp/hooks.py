"""What happens around every request: who calls, whether they may, and the headers that say so."""

import re
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NoReturn

from flask import Flask, current_app, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from webapp.accounts.audit import Actor, ActorType, Origin, unknown_actor
from webapp.accounts.organisations import NotAllowedError
from webapp.accounts.roles import Permission
from webapp.answer_headers import ANSWER_FIELDS, API_PATH, Field
from webapp.authentication import KeyRequired, LoginRequired, get_authentication
from webapp.core import clock
from webapp.core.errors import LengthRequiredError, NotFoundError, StoreAwayError, UpcubeError
from webapp.core.ids import new_id
from webapp.core.key_tokens import SCHEME, TOKEN, KeyToken, parse_token
from webapp.core.money import format_credits
from webapp.extensions import csrf, runtime
from webapp.keys.leaks import warn_of_address
from webapp.metering.admission import Admission, Principal, Verdict, admit, admit_without_redis
from webapp.metering.budgets import BudgetExceededError
from webapp.metering.callers import Caller
from webapp.metering.unknown_tokens import TooManyUnknownKeysError, is_stored

# More are not looked up: an address has room for many.
MAX_KEYS_IN_ADDRESS = 3
Environ = dict[str, Any]

SAFE_METHODS = frozenset({"GET", "HEAD"})
BEARER = re.compile(r"Bearer +(\S+) *", re.IGNORECASE)


class UnauthorizedError(UpcubeError):
    """There is no key, or it is good for nothing. The message never repeats the token."""

    status = 401
    code = "invalid_api_key"
    # RFC 6750, section 3
    headers = MappingProxyType({"WWW-Authenticate": 'Bearer realm="Upcube Quantum", error="invalid_token"'})


class MissingKeyError(UnauthorizedError):
    """There is no Authorization header at all."""

    code = "missing_api_key"
    headers = MappingProxyType({"WWW-Authenticate": 'Bearer realm="Upcube Quantum"'})


class KeyInAddressError(UpcubeError):
    """A key was sent where everything on the way writes it down."""

    status = 400
    code = "key_in_address"

    def __init__(self) -> None:
        super().__init__(
            "There is an API key in this address, where logs and histories keep it; it was not looked at. Rotate the "
            "key, and send it in the header: Authorization: Bearer upcube_sk_…"
        )


class ForbiddenError(UpcubeError):
    """The key is good, but not for this."""

    status = 403
    code = "insufficient_scope"


class RateLimitedError(UpcubeError):
    """The key or its account calls too often."""

    status = 429
    code = "rate_limited"


class CallCreditsError(UpcubeError):
    """The account cannot pay for this call."""

    status = 402
    code = "insufficient_credits"


class StalePageError(UpcubeError):
    """The page shows another organisation than the one that is looked at now."""

    status = 409
    code = "another_organisation"
    heading = "That page is out of date"

    def __init__(self) -> None:
        super().__init__(
            "You went on to another organisation or account in the meantime, in another tab perhaps. Nothing was done."
        )


@dataclass(frozen=True)
class Refusal:
    """How a verdict on a key is put."""

    error: type[UpcubeError]
    code: str
    message: str


KEY_REFUSALS = {
    Verdict.ABSENT: Refusal(UnauthorizedError, "unknown_api_key", "There is no such API key."),
    Verdict.REVOKED: Refusal(UnauthorizedError, "revoked_api_key", "This API key has been revoked. Create another."),
    Verdict.OFF: Refusal(UnauthorizedError, "disabled_api_key", "This API key is disabled. Enable it in the console."),
    Verdict.EXPIRED: Refusal(UnauthorizedError, "expired_api_key", "This API key has expired. Create another."),
    Verdict.DISABLED: Refusal(ForbiddenError, "account_disabled", "This account has been disabled."),
    Verdict.ADDRESS: Refusal(
        ForbiddenError, "address_not_allowed", "This API key may not be used from this address: see its settings."
    ),
}


def install(app: Flask) -> None:
    """Put the hooks around the application's requests."""
    app.before_request(receive)


def receive() -> ResponseReturnValue | None:
    """Name the request, refuse what cannot be meant well, and ask who sends it: one hook, as Flask takes its time."""
    environ = request.environ
    identify_request(environ)
    check_length(environ)
    return authenticate(environ)


def identify_request(environ: Environ) -> None:
    """Give the request the id that its logs, its answer and its batch of counters carry.

    Raises NotFoundError for an address with a NUL in it: nothing of ours has one, and PostgreSQL fails when asked.
    """
    g.request_id = request_id = new_id("req", at=clock.now())
    environ[ANSWER_FIELDS] = [("X-Request-Id", request_id)]
    path, query = environ["PATH_INFO"], environ.get("QUERY_STRING", "")
    if "\0" in path:
        raise NotFoundError("There is nothing at this address.")
    if SCHEME in path or SCHEME in query:
        refuse_keys_in(f"{path}?{query}")


def check_length(environ: Environ) -> None:
    """Refuse a form without Content-Length, before any of it is read; the API checks its bodies in its own order.

    A server may cut such a body without a sign, and what is left of a form can still be a whole one. Where the server
    does not end bodies by itself, none is read without a length. Raises LengthRequiredError.
    """
    is_form = environ["REQUEST_METHOD"] == "POST" and not environ["PATH_INFO"].startswith(API_PATH)
    if is_form and request.content_length is None and environ.get("wsgi.input_terminated"):
        raise LengthRequiredError


def refuse_keys_in(address: str) -> None:
    """Refuse a request with a key in its address, and tell the key's owners once. Raises KeyInAddressError."""
    found = TOKEN.findall(address)[:MAX_KEYS_IN_ADDRESS]
    tokens = [token for raw in found if (token := parse_token(raw))]
    for token in tokens:
        with suppress(StoreAwayError, TooManyUnknownKeysError):
            if is_stored(token, address=request.remote_addr or ""):
                warn_of_address(token, actor=unknown_actor(get_origin()), at=clock.now())
    if tokens:
        raise KeyInAddressError


def authenticate(environ: Environ) -> ResponseReturnValue | None:
    """Ask for what the route has declared. An unknown route falls through to its 404.

    A browser sends cookies along whoever has it send a request, and so its forms must prove that they are ours. It
    never adds a key by itself: a call with one has proved enough.
    """
    endpoint = request.endpoint
    if endpoint is None:
        return None
    authentication = get_authentication(current_app, endpoint)
    if isinstance(authentication, KeyRequired):
        authenticate_key(environ, authentication.scope, endpoint=endpoint)
        return None
    if isinstance(authentication, LoginRequired) and (answer := authenticate_person(authentication)):
        return answer
    if current_app.config["WTF_CSRF_ENABLED"]:
        csrf.protect(apply_exemptions=True)
    return None


def authenticate_person(authentication: LoginRequired) -> ResponseReturnValue | None:
    """Send who is not logged in to the log-in page, and who must prove again who they are to the page that asks.

    A page for operators is not there for others, nor for strangers where there are no operators. Raises NotFoundError.
    """
    if authentication.is_for_operators and not may_be_operator():
        raise NotFoundError("There is nothing at this address.")
    # A form cannot be sent on: people come back to the page where it stood.
    is_form = request.method not in SAFE_METHODS
    page = (get_page_before() or url_for("dashboard.overview")) if is_form else get_page_address()
    if not current_user.is_authenticated:
        return redirect(url_for("dashboard.log_in", next=page, unsent="form" if is_form else None))
    if authentication.is_recent and not current_user.is_confirmed:
        return redirect(url_for("dashboard.confirm", next=page))
    check_member(authentication.permission)
    return None


def may_be_operator() -> bool:
    """Tell whether an operator is logged in, or, while nobody is, whether there is any who might log in."""
    return bool(current_user.is_operator if current_user.is_authenticated else runtime().admin_emails)


def check_member(permission: Permission | None) -> None:
    """Refuse a person whose role does not allow this, or whose page was made for another organisation.

    Somebody with two tabs may have gone on to another organisation in one of them; what they send from the other was
    meant for the one that it shows. Raises NotAllowedError or StalePageError.
    """
    meant_for = request.form.get("organisation_id") or request.headers.get("X-Upcube-Organisation")
    if meant_for and meant_for != current_user.membership.organisation_id:
        raise StalePageError
    if permission and not current_user.may(permission):
        raise NotAllowedError(
            f"Your role in this organisation, {current_user.membership.role}, does not allow this. "
            "An owner or admin can change it.",
            wanted=permission,
        )


def get_page_address() -> str:
    """Give the path and the query that are asked for; a query may end in a question mark of its own."""
    return request.full_path if request.query_string else request.path


def get_page_before() -> str | None:
    """Give the page of ours that the request was sent from."""
    before = request.referrer or ""
    return before.removeprefix(request.host_url.rstrip("/")) if before.startswith(request.host_url) else None


def authenticate_key(environ: Environ, scope: str | None, *, endpoint: str) -> None:
    """Admit the call with its bearer key, in one Redis round trip, or raise the refusal."""
    settings = runtime()
    price_microcredits = settings.price_of(endpoint)
    token = read_bearer_token(environ.get("HTTP_AUTHORIZATION"))
    caller = Caller(environ.get("REMOTE_ADDR", ""), endpoint.removeprefix("api."))
    try:
        admission = admit(
            token=token,
            scope=scope,
            price_microcredits=price_microcredits,
            request_id=g.request_id,
            policy=settings.policy,
            caller=caller,
        )
    except StoreAwayError:
        if environ["REQUEST_METHOD"] not in SAFE_METHODS or price_microcredits:
            raise
        admission = admit_without_redis(token=token, scope=scope, caller=caller, at=clock.now())
    g.admission = admission
    environ[ANSWER_FIELDS] += list_limits(admission)
    if admission.verdict is not Verdict.ADMITTED:
        raise_refusal(admission, scope, price_microcredits=price_microcredits)


def read_bearer_token(header: str | None) -> KeyToken:
    """Read the Authorization header. Raises UnauthorizedError for one that cannot be a key of ours."""
    if header is None:
        raise MissingKeyError("Send an API key: Authorization: Bearer upcube_sk_…", target="Authorization")
    match = BEARER.fullmatch(header)
    token = parse_token(match[1]) if match else None
    if token is None:
        raise UnauthorizedError(
            "The Authorization header holds no well-formed API key; it may be cut short or mistyped. "
            "It must read: Bearer upcube_sk_…",
            target="Authorization",
        )
    return token


def raise_refusal(admission: Admission, scope: str | None, *, price_microcredits: int) -> NoReturn:
    """Raise the refusal that the verdict stands for."""
    verdict = admission.verdict
    if verdict in KEY_REFUSALS:
        refusal = KEY_REFUSALS[verdict]
        error = refusal.error(refusal.message, target="Authorization")
        error.code = refusal.code
        raise error
    if verdict is Verdict.SCOPE:
        raise ForbiddenError(
            f"This API key does not have the scope {scope}. Use a key that has it.",
            target="Authorization",
            extra={"requiredScope": scope},
        )
    if verdict is Verdict.RATE:
        seconds = admission.retry_after_seconds
        error = RateLimitedError(f"Too many calls. Try again in {seconds} second{'' if seconds == 1 else 's'}.")
        error.headers = {"Retry-After": str(seconds)}
        raise error
    if verdict is Verdict.BUDGET:
        raise BudgetExceededError(admission.budgets, required=price_microcredits, at=clock.now())
    available = format_credits(admission.available_microcredits)
    price = format_credits(price_microcredits)
    raise CallCreditsError(
        f"This call costs {price} credits and {available} are available.",
        target="credits",
        extra={"required": price, "available": available, "limitSource": "balance"},
    )


def get_principal() -> Principal:
    """Give the key that this admitted request was made with."""
    admission: Admission = g.admission
    if admission.principal is None:
        raise RuntimeError("the request was not admitted")
    return admission.principal


def get_key_actor() -> Actor:
    """Give the key that this admitted request was made with as the audit trail names it."""
    principal = get_principal()
    return Actor(ActorType.KEY, principal.key_id, principal.name, get_origin())


def get_origin() -> Origin:
    """Give where the request comes from. PostgreSQL could not store a NUL in the browser's name for itself."""
    return Origin(request.remote_addr or "", request.user_agent.string.replace("\0", ""))


def list_limits(admission: Admission) -> list[Field]:
    """Give the header fields of the rate limits, where the call met any (draft-ietf-httpapi-ratelimit-headers-10)."""
    if not admission.limits:
        return []
    policy = ", ".join([f'"{limit.name}";q={limit.quota};w={limit.window_seconds}' for limit in admission.limits])
    # The calls that remain, and the seconds until the quota is whole again.
    left = ", ".join([f'"{limit.name}";r={limit.remaining};t={limit.reset_seconds}' for limit in admission.limits])
    return [("RateLimit-Policy", policy), ("RateLimit", left)]
