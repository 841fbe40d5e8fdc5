"""The operator's commands on budgets: `flask --app wsgi budgets …`."""

import click
from flask import Flask
from flask.cli import AppGroup

from webapp.accounts.audit import OPERATOR
from webapp.accounts.queries import get_organisation_named
from webapp.admin.commands import Amount, as_json, explained, print_rows
from webapp.core import clock
from webapp.core.money import format_credits
from webapp.ledger.budgets import BudgetPeriod
from webapp.metering.budgets import SpentBudget, list_spent_budgets, set_budget, unset_budget

budgets = AppGroup("budgets", help="What an account, or one of its keys, may spend.")

of_key = click.option("--key", "key_id", help="The key that it bounds; without it: the whole account.")
of_period = click.option(
    "--period",
    type=click.Choice([period.value for period in BudgetPeriod]),
    required=True,
    help="In UTC.",
)


def install(app: Flask) -> None:
    """Add the commands to `flask`."""
    app.cli.add_command(budgets)


@budgets.command("set")
@click.argument("email")
@click.argument("microcredits", metavar="AMOUNT", type=Amount())
@of_period
@of_key
@click.option("--alert-only", is_flag=True, help="Tell when it is used up, and refuse nothing.")
@explained
def put(email: str, *, microcredits: int, period: str, key_id: str | None, alert_only: bool) -> None:
    """Let no more than AMOUNT decimal credits be spent in each period."""
    set_budget(
        organisation_id=get_organisation_named(email).id,
        key_id=key_id,
        period=period,
        microcredits=microcredits,
        refuses=not alert_only,
        actor=OPERATOR,
        at=clock.now(),
    )
    click.echo(f"The budget of {key_id or email} is {format_credits(microcredits)} credits ({period}).")


@budgets.command("remove")
@click.argument("email")
@of_period
@of_key
@explained
def remove(email: str, *, period: str, key_id: str | None) -> None:
    """Take a budget away."""
    unset_budget(
        organisation_id=get_organisation_named(email).id,
        key_id=key_id,
        period=period,
        actor=OPERATOR,
        at=clock.now(),
    )
    click.echo(f"{key_id or email} has no budget any more ({period}).")


@budgets.command("list")
@click.argument("email")
@as_json
@explained
def print_budgets(email: str, *, as_json: bool) -> None:
    """List the budgets of an account and its keys, with what is used of each."""
    found = list_spent_budgets(get_organisation_named(email).id, at=clock.now())
    print_rows([render_budget(spent) for spent in found], in_json=as_json)


def render_budget(spent: SpentBudget) -> dict[str, str | int | None]:
    """Write a budget as a row."""
    budget = spent.budget
    return {
        "keyId": budget.spender or None,
        "period": budget.period,
        "limit": format_credits(budget.microcredits),
        "used": format_credits(spent.used_microcredits),
        "percent": spent.percent,
        "effect": "refuses" if budget.refuses else "alerts",
    }
