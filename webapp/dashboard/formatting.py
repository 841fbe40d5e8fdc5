"""How pages write amounts, numbers, times and examples: Jinja filters, and what every template may use."""

import json
import math
import pprint
import re
import shlex
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from flask_login import current_user
from markupsafe import Markup

from webapp.accounts.models import Organisation
from webapp.core import clock
from webapp.core.clock import format_time
from webapp.core.money import format_credits
from webapp.dashboard import dashboard
from webapp.dashboard.browser import get_site_url
from webapp.endpoints import name_endpoint
from webapp.extensions import runtime
from webapp.keys.models import ApiKey
from webapp.keys.settings import status_of

API_ROOT = "api/quantum/v1"
# What stands for the caller's key in examples: a shell variable, so that a key need not be typed into a history.
KEY_VARIABLE = "$UPCUBE_KEY"

UNITS = (("day", timedelta(days=1)), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1)))
JUST_NOW = timedelta(seconds=5)
# Beyond this many days a date says more than "412 days ago".
MAX_RELATIVE_DAYS = 30
# And up to here minutes say more than hours.
MAX_MINUTES = 120

SHELL_TOKENS = re.compile(r"(?P<string>\"[^\"]*\"|'[^']*')|(?P<name>^curl\b|(?<=\s)-[A-Za-z]\b)", re.MULTILINE)
JSON_TOKENS = re.compile(r"(?P<name>\"[^\"]*\"(?=:))|(?P<string>\"[^\"]*\")|(?P<number>-?\b\d[\d.e+-]*\b|\bnull\b)")

dashboard.add_app_template_filter(format_time, "rfc3339")
dashboard.add_app_template_filter(name_endpoint, "endpoint")


@dashboard.app_context_processor
def provide_names() -> dict[str, Any]:
    """Give every template the time and the example maker."""
    return {
        "now": clock.now(),
        "curl": format_curl,
        "python": format_python,
        "must_verify": must_verify(),
        "organisation_name": format_organisation,
        "key_status": key_status,
    }


def key_status(key: ApiKey) -> str:
    """Say what a key is now."""
    return status_of(key, at=clock.now())


def format_organisation(organisation: Organisation) -> str:
    """Name an organisation as its member sees it: their personal one bears their address, which says less."""
    return "Personal account" if organisation.personal_user_id else organisation.name


def must_verify() -> bool:
    """Tell whether somebody looks at the page whose address must be verified and is not."""
    return (
        runtime().require_verified_email
        and current_user.is_authenticated
        and current_user.user.email_verified_at is None
    )


@dashboard.app_template_filter("number")
def format_number(value: int) -> str:
    """Write a whole number with commas: 12,345."""
    return f"{value:,}"


@dashboard.app_template_filter("credits")
def format_grouped_credits(microcredits: int) -> str:
    """Write credits exactly, with commas: 97,728.871603."""
    return f"{Decimal(format_credits(microcredits)):,f}"


@dashboard.app_template_filter("amount")
def format_amount(microcredits: int) -> Markup:
    """Write credits as a number that matters: what is below one credit is drawn back, unless it is all there is."""
    whole, point, places = format_grouped_credits(microcredits).partition(".")
    if not point or whole == "0":
        return Markup.escape(whole + point + places)
    return Markup('{}<wbr><span class="amount-fraction">.{}</span>').format(whole, places)


@dashboard.app_template_filter("full_time")
def format_full_time(moment: datetime) -> str:
    """Write a moment for people, to the second: 31 Jan 2026, 09:30:00 UTC."""
    return f"{moment.day} {moment:%b %Y, %H:%M:%S} UTC"


@dashboard.app_template_filter("date")
def format_date(moment: datetime) -> str:
    """Write a moment's day: 31 Jan 2026."""
    return f"{moment.day} {moment:%b %Y}"


@dashboard.app_template_filter("ago")
def format_ago(moment: datetime, now: datetime) -> str:
    """Write how long ago a moment was: 2 minutes ago; its day when that is long ago."""
    age = now - moment
    if age.days > MAX_RELATIVE_DAYS:
        return format_date(moment)
    for unit, length in UNITS:
        if age >= length:
            count = age // length
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return "just now" if age < JUST_NOW else f"{age.seconds} seconds ago"


@dashboard.app_template_filter("until")
def format_until(moment: datetime, now: datetime) -> str:
    """Write roughly how long it is until a moment: in about 26 minutes."""
    minutes = math.ceil((moment - now) / timedelta(minutes=1))
    if minutes <= 1:
        return "within a minute"
    return f"in about {minutes} minutes" if minutes < MAX_MINUTES else f"in about {round(minutes / 60)} hours"


@dashboard.app_template_filter("duration")
def format_duration(span: timedelta) -> str:
    """Write how long something took: 8.4 ms, 1.25 s, 15 min 53 s."""
    milliseconds = span / timedelta(milliseconds=1)
    if span >= timedelta(minutes=1):
        return f"{span // timedelta(minutes=1)} min {span.seconds % 60} s"
    return f"{milliseconds:.1f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.2f} s"  # noqa: PLR2004


@dashboard.app_template_filter("percent")
def format_percent(share: float) -> str:
    """Write a share of one as a percentage to one place, or two below one percent."""
    return f"{share:.2%}" if 0 < share < 0.01 else f"{share:.1%}"  # noqa: PLR2004


@dashboard.app_template_filter("shell")
def highlight_shell(text: str) -> Markup:
    """Mark up a shell command's strings and options; everything else is escaped as it stands."""
    return highlight(SHELL_TOKENS, text)


@dashboard.app_template_filter("json_text")
def highlight_json(text: str) -> Markup:
    """Mark up the names, strings and numbers of JSON text."""
    return highlight(JSON_TOKENS, text)


def highlight(tokens: re.Pattern[str], text: str) -> Markup:
    """Escape the text, with each token in a span of its kind's class."""
    pieces, end = Markup(), 0
    for match in tokens.finditer(text):
        pieces += Markup('{}<span class="tok-{}">{}</span>').format(
            text[end : match.start()], match.lastgroup, match[0]
        )
        end = match.end()
    return pieces + text[end:]


def format_curl(
    path: str,
    *,
    body: Mapping[str, Any] | None = None,
    prefer: str | None = None,
    idempotency_key: str | None = None,
    key: str | None = KEY_VARIABLE,
) -> str:
    """Write the curl command that calls this service's API: GET, or POST where there is a body."""
    # A shell would take ? and & for its own.
    address = f"{get_site_url()}/{API_ROOT}{path}"
    parts = [f"curl {shlex.quote(address) if '?' in path else address}"]
    if key:
        parts.append(f'-H "Authorization: Bearer {key}"')
    if prefer:
        parts.append(f'-H "Prefer: {prefer}"')
    if idempotency_key:
        parts.append(f'-H "Idempotency-Key: {idempotency_key}"')
    if body is not None:
        parts.append('-H "Content-Type: application/json"')
        parts.append(f"-d {shlex.quote(json.dumps(body, ensure_ascii=False))}")
    return " \\\n  ".join(parts)


def format_python(path: str, *, body: Mapping[str, Any]) -> str:
    """Write the Python program that posts this body to our API and prints the answer."""
    written = pprint.pformat(dict(body), sort_dicts=False, width=80).replace("\n", "\n         ")
    return f"""import os
import requests

answer = requests.post(
    "{get_site_url()}/{API_ROOT}{path}",
    headers={{"Authorization": f"Bearer {{os.environ['UPCUBE_KEY']}}"}},
    json={written},
    timeout=60,
)
print(answer.json())"""
