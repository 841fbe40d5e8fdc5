"""The operator's commands about an account's credits: `flask --app wsgi credits …`."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from flask import Flask
from flask.cli import AppGroup

from webapp.accounts.audit import OPERATOR
from webapp.accounts.queries import get_organisation_named
from webapp.admin.commands import Amount, as_json, explained
from webapp.core import clock
from webapp.core.clock import format_time
from webapp.core.money import format_credits
from webapp.jobs.refunds import refund_job
from webapp.metering.credits import get_credits, grant_credits
from webapp.metering.withdrawals import adjust_credits

credits_group = AppGroup("credits", help="Credits of an account.")


def install(app: Flask) -> None:
    """Add the commands to `flask`."""
    app.cli.add_command(credits_group)


class Moment(click.ParamType[datetime]):
    """A moment on the command line: RFC 3339, or a date, which stands for the end of that day in UTC."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:  # noqa: ANN401 - click's signature
        """Read a moment."""
        moment = read_moment(value)
        if moment is None:
            self.fail("This is not a time: write a date such as 2026-12-31, or 2026-12-31T12:00:00Z.", param, ctx)
        return moment


def read_moment(text: str) -> datetime | None:
    """Read a moment, or give None for what is not one or does not say its time zone."""
    try:
        moment = datetime.fromisoformat(text)
        if len(text) == len("2026-12-31"):
            return moment.replace(tzinfo=UTC) + timedelta(days=1)
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


@credits_group.command("grant")
@click.argument("email")
@click.argument("microcredits", metavar="AMOUNT", type=Amount())
@click.option("--reason", required=True, help="Why, for the statement.")
@click.option("--reference", help="Grant at most once for this reference.")
@click.option("--expires", "expires_at", type=Moment(), help="When what is left is taken back: a date, or RFC 3339.")
@explained
def grant(email: str, *, microcredits: int, reason: str, reference: str | None, expires_at: datetime | None) -> None:
    """Give an account AMOUNT decimal credits."""
    grant_credits(
        organisation_id=get_organisation_named(email).id,
        microcredits=microcredits,
        reason=reason,
        reference=reference,
        actor=OPERATOR,
        at=clock.now(),
        expires_at=expires_at,
    )
    until = f" until {format_time(expires_at)}" if expires_at else ""
    click.echo(f"Granted {format_credits(microcredits)} credits to {email}{until}.")


@credits_group.command("refund")
@click.argument("email")
@click.argument("job_id")
@click.option("--amount", "microcredits", type=Amount(), help="How much of the job's charge; without it: the rest.")
@click.option("--reason", required=True, help="Why, for the statement.")
@click.option("--reference", help="Refund at most once for this reference.")
@explained
def refund(email: str, job_id: str, *, microcredits: int | None, reason: str, reference: str | None) -> None:
    """Give back what a job was charged, or some of it."""
    refunded = refund_job(
        organisation_id=get_organisation_named(email).id,
        job_id=job_id,
        microcredits=microcredits,
        reason=reason,
        reference=reference,
        actor=OPERATOR,
        at=clock.now(),
    )
    click.echo(f"Refunded {format_credits(refunded)} credits to {email}.")


# -5 is an amount here, and no option.
@credits_group.command("adjust", context_settings={"ignore_unknown_options": True})
@click.argument("email")
@click.argument("microcredits", metavar="±AMOUNT", type=Amount(signed=True))
@click.option("--reason", required=True, help="Why, for the statement.")
@click.option("--reference", help="Adjust at most once for this reference.")
@explained
def adjust(email: str, *, microcredits: int, reason: str, reference: str | None) -> None:
    """Correct what an account was granted: +AMOUNT adds credits, -AMOUNT takes available ones back."""
    adjust_credits(
        organisation_id=get_organisation_named(email).id,
        microcredits=microcredits,
        reason=reason,
        reference=reference,
        actor=OPERATOR,
        at=clock.now(),
    )
    click.echo(f"Adjusted the credits of {email} by {format_credits(microcredits)}.")


@credits_group.command("balance")
@click.argument("email")
@as_json
@explained
def print_balance(email: str, *, as_json: bool) -> None:
    """Say where an account's credits are."""
    found = get_credits(get_organisation_named(email).id)
    row = {
        "granted": format_credits(found.granted),
        "available": format_credits(found.available),
        "held": format_credits(found.held),
        "unflushed": format_credits(found.unflushed),
        "spent": format_credits(found.spent),
        "expired": format_credits(found.expired),
    }
    expiring = [(format_credits(lot.microcredits), format_time(lot.expires_at)) for lot in found.expiring]
    if as_json:
        rows = [{"amount": amount, "expiresAt": expires_at} for amount, expires_at in expiring]
        click.echo(json.dumps({**row, "expiring": rows}))
        return
    for name, value in row.items():
        click.echo(f"{name}\t{value}")
    for amount, expires_at in expiring:
        click.echo(f"expiring\t{amount}\t{expires_at}")
