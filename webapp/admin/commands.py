"""The operator's command line: `flask --app wsgi users|keys|ledger|metering …`; credits are next door."""

import json
import sys
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any, ParamSpec

import click
from flask import Flask
from flask.cli import AppGroup

from webapp.accounts.audit import OPERATOR
from webapp.accounts.operations import disable_user
from webapp.accounts.queries import get_organisation_named, get_personal_organisation, get_user_by_email, list_users
from webapp.accounts.second_factors import remove_authenticator
from webapp.core import clock
from webapp.core.clock import format_time
from webapp.core.db import AWAY
from webapp.core.errors import StoreAwayError, UpcubeError, find_reason
from webapp.core.money import InvalidAmountError, format_credits, parse_credits
from webapp.extensions import runtime
from webapp.keys.models import ApiKey
from webapp.keys.operations import create_key, revoke_key
from webapp.keys.queries import get_key
from webapp.keys.scopes import SCOPES
from webapp.keys.settings import KeySettings, status_of
from webapp.ledger.sign_up import sign_up
from webapp.metering.backlog import read_backlog
from webapp.metering.checks import run_check
from webapp.metering.flush import flush
from webapp.metering.queries import KeyUsage, list_keys_with_usage
from webapp.metering.rebuild import rebuild
from webapp.metering.usage import roll_up_usage
from webapp.metering.withdrawals import expire_credits

Arguments = ParamSpec("Arguments")

users = AppGroup("users", help="People who can log in.")
keys = AppGroup("keys", help="API keys.")
ledger = AppGroup("ledger", help="The ledger.")
metering = AppGroup("metering", help="Usage and credits in Redis.")

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class Amount(click.ParamType[int]):
    """Decimal credits on the command line, given to the command as micro-credits."""

    name = "credits"

    def __init__(self, *, signed: bool = False) -> None:
        self.signed = signed

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401 - click's signature
        """Read decimal credits, with a sign where one is allowed."""
        unsigned = value[1:] if self.signed and value[:1] in {"+", "-"} else value
        try:
            microcredits = parse_credits(unsigned)
        except InvalidAmountError as error:
            self.fail(str(error), param, ctx)
        return -microcredits if self.signed and value.startswith("-") else microcredits


def install(app: Flask) -> None:
    """Add the commands to `flask`."""
    for group in (users, keys, ledger, metering):
        app.cli.add_command(group)


def explained(command: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """Turn a refusal into one line on standard error for each wrong thing, and exit code 1."""

    @wraps(command)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except AWAY as error:
            click.echo("Error: The database does not answer, or has not been migrated (flask db upgrade).", err=True)
            click.echo(f"The reason: {find_reason(error)}.", err=True)
            sys.exit(1)
        except UpcubeError as error:
            for line in [detail.message for detail in error.details] or [error.message]:
                click.echo(f"Error: {line}", err=True)
            if isinstance(error, StoreAwayError) and error.__cause__:
                click.echo(f"The reason: {find_reason(error)}.", err=True)
            sys.exit(1)

    return run


def print_rows(rows: list[dict[str, Any]], *, in_json: bool) -> None:
    """Print rows as a JSON array, or as lines with the values between tabs."""
    if in_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        click.echo("\t".join("-" if value is None else str(value) for value in row.values()))


@users.command("create")
@click.argument("email")
@click.option("--password-stdin", is_flag=True, required=True, help="Read the password from standard input.")
@click.option("--credits", "microcredits", type=Amount(), help="Grant this much in place of the usual.")
@as_json
@explained
def create_user(email: str, *, password_stdin: bool, microcredits: int | None, as_json: bool) -> None:  # noqa: ARG001 - required to be there
    """Make a user with a personal organisation. The address counts as verified."""
    organisation = sign_up(
        email=email,
        password=sys.stdin.readline().rstrip("\r\n"),
        starting_microcredits=runtime().starting_microcredits if microcredits is None else microcredits,
        verified=True,
        actor=OPERATOR,
        at=clock.now(),
    )
    user = get_user_by_email(email)
    row = {"id": user.id, "email": user.email, "organisationId": organisation.id}
    click.echo(json.dumps(row) if as_json else f"Created {user.email} ({user.id}).")


@users.command("list")
@as_json
@explained
def print_users(*, as_json: bool) -> None:
    """List the users, oldest first."""
    print_rows(
        [
            {
                "id": user.id,
                "email": user.email,
                "status": "disabled" if user.disabled_at else "active",
                "createdAt": format_time(user.created_at),
            }
            for user in list_users()
        ],
        in_json=as_json,
    )


@users.command("disable")
@click.argument("email")
@explained
def disable(email: str) -> None:
    """Shut a user out: log-in, sessions, and the keys of their personal organisation."""
    disable_user(email=email, actor=OPERATOR, at=clock.now())
    click.echo(f"Disabled {email}.")


@users.command("remove-authenticator")
@click.argument("email")
@explained
def remove_authenticator_app(email: str) -> None:
    """Let somebody in with their password alone who has lost their authenticator app and its recovery codes."""
    remove_authenticator(user=get_user_by_email(email), actor=OPERATOR, at=clock.now())
    click.echo(f"Removed the authenticator app of {email}; a mail tells them.")


@keys.command("create")
@click.argument("email")
@click.option("--name", required=True, help="What the key is for.")
@click.option("--scope", "scopes", multiple=True, help="A scope; repeat for more. Without any: every scope.")
@as_json
@explained
def create_api_key(email: str, *, name: str, scopes: tuple[str, ...], as_json: bool) -> None:
    """Make an API key and print it, once."""
    user = get_user_by_email(email)
    new = create_key(
        organisation_id=get_personal_organisation(user.id).id,
        created_by_id=user.id,
        settings=KeySettings(name=name, scopes=scopes or tuple(SCOPES)),
        actor=OPERATOR,
        at=clock.now(),
    )
    row = {
        "id": new.key.id,
        "name": new.key.name,
        "prefix": new.key.prefix,
        "scopes": new.key.scopes.split(),
        "key": new.raw,
    }
    click.echo(json.dumps(row) if as_json else new.raw)


@keys.command("list")
@click.argument("email")
@as_json
@explained
def print_keys(email: str, *, as_json: bool) -> None:
    """List the keys of a user's personal organisation, newest first."""
    found = list_keys_with_usage(get_organisation_named(email).id)
    print_rows([render_key(usage) for usage in found], in_json=as_json)


def render_key(usage: KeyUsage) -> dict[str, Any]:
    """Write a key as a row."""
    key: ApiKey = usage.key
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "scopes": key.scopes,
        "status": status_of(key, at=clock.now()),
        "createdAt": format_time(key.created_at),
        "lastUsedAt": format_time(usage.last_used_at) if usage.last_used_at else None,
        "calls": usage.calls,
        "credits": format_credits(usage.microcredits),
    }


@keys.command("revoke")
@click.argument("key_id")
@click.option("--descendants", "with_made", is_flag=True, help="With the keys that it made, and that they made.")
@explained
def revoke(key_id: str, *, with_made: bool) -> None:
    """Revoke a key; the next call with it is refused."""
    organisation_id = get_key(key_id).organisation_id
    key, made = revoke_key(
        organisation_id=organisation_id, key_id=key_id, with_made=with_made, actor=OPERATOR, at=clock.now()
    )
    for each in (key, *made):
        click.echo(f"Revoked {each.name} ({each.prefix}...).")


@ledger.command("verify")
@as_json
@explained
def verify_ledger(*, as_json: bool) -> None:
    """Check every account's invariant, in SQL and in Redis; exit 1 with the differences if there are any."""
    found = run_check(at=clock.now())
    if as_json:
        rows = [
            {
                "organisationId": difference.organisation_id,
                "what": difference.what,
                "expected": format_credits(difference.expected),
                "found": format_credits(difference.found),
            }
            for difference in found
        ]
        click.echo(json.dumps({"ok": not found, "differences": rows}))
    else:
        click.echo("\n".join(map(str, found)) if found else "ok")
    sys.exit(1 if found else 0)


@ledger.command("expire")
@explained
def run_expiry() -> None:
    """Take the credits that are past their date now. A periodic task does so every minute."""
    click.echo(f"Expired {format_credits(expire_credits(at=clock.now()))} credits.")


@metering.command("status")
@as_json
@explained
def print_status(*, as_json: bool) -> None:
    """Say what waits in Redis to be flushed, and when the last flush was."""
    found, now = read_backlog(), clock.now()
    row = {
        "liveBatches": found.live_batches,
        "sealedBatches": found.sealed_batches,
        "calls": found.calls,
        "credits": format_credits(found.microcredits),
        "oldestAgeSeconds": seconds_since(found.oldest_at, now),
        "lastFlushAt": format_time(found.last_flush_at) if found.last_flush_at else None,
        "lastFlushAgeSeconds": seconds_since(found.last_flush_at, now),
    }
    if as_json:
        click.echo(json.dumps(row))
        return
    for name, value in row.items():
        click.echo(f"{name}\t{'-' if value is None else value}")


def seconds_since(moment: datetime | None, now: datetime) -> int | None:
    """Give the age of a moment in whole seconds; two clocks may differ by a little."""
    return None if moment is None else max(0, int((now - moment).total_seconds()))


@metering.command("flush")
@explained
def run_flush() -> None:
    """Move every counter from Redis to SQL now."""
    report = flush(at=clock.now())
    click.echo(
        f"Flushed {report.calls} calls of {report.keys} keys in {report.batches} batches, "
        f"{format_credits(report.microcredits)} credits."
    )
    if report.waiting:
        click.echo(f"Error: {report.waiting} batches charge an account more than it has, and wait.", err=True)
        sys.exit(1)


@metering.command("roll-up")
@explained
def run_roll_up() -> None:
    """Keep old usage by the day instead of the hour, now. A periodic task does so every day."""
    hours = roll_up_usage(before=clock.now() - runtime().usage_hours_kept)
    click.echo(f"Rolled up {hours} hours.")


@metering.command("rebuild")
@explained
def run_rebuild() -> None:
    """Make Redis agree with SQL for every account and key that it knows."""
    report = rebuild()
    click.echo(f"Rebuilt {report.accounts} accounts and {report.keys} keys.")
