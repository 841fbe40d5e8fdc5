"""Budgets of the account and of its keys: what is used of each, and forms to set and remove them."""

from collections.abc import Iterable

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import SelectField, StringField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its types

from webapp.accounts.roles import Permission
from webapp.authentication import permission_required
from webapp.core import clock
from webapp.core.errors import InvalidFieldsError, NotFoundError
from webapp.core.money import InvalidAmountError, parse_credits
from webapp.dashboard import dashboard
from webapp.dashboard.forms import add_errors
from webapp.dashboard.visitor import get_actor, get_own_organisation
from webapp.keys.queries import list_keys
from webapp.ledger.budgets import ACCOUNT, BudgetPeriod, list_alerts
from webapp.metering.budgets import list_spent_budgets, set_budget, unset_budget

SHOWN_ALERTS = 10
PERIODS = {BudgetPeriod.DAY: "Each day", BudgetPeriod.MONTH: "Each month", BudgetPeriod.TOTAL: "In all"}
EFFECTS = {"refuse": "Refuse what goes beyond it", "alert": "Only warn"}


def list_choices(pairs: Iterable[tuple[str, str]]) -> list[SelectChoice]:
    """Put values with their labels as WTForms takes them."""
    return [SelectChoice(value=value, label=label) for value, label in pairs]


class BudgetForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """Whose budget, for how long, how much, and what happens beyond it."""

    spender = SelectField("For", validate_choice=False)
    period = SelectField("Period", choices=list_choices(PERIODS.items()))
    credits = StringField("Credits")
    effect = SelectField("When it is used up", choices=list_choices(EFFECTS.items()))


@dashboard.get("/console/budgets")
@permission_required(Permission.CREDITS_READ)
def budgets() -> str:
    """Show the budgets with what is used of each."""
    return render_budgets(make_form())


@dashboard.post("/console/budgets")
@permission_required(Permission.BUDGETS_MANAGE)
def put_budget() -> ResponseReturnValue:
    """Set a budget, in place of the one that the same spender has for the same period."""
    form = make_form()
    if form.validate_on_submit():
        try:
            set_budget(
                organisation_id=get_own_organisation().id,
                key_id=form.spender.data or None,
                period=form.period.data,
                microcredits=parse_credits(form.credits.data or ""),
                refuses=form.effect.data == "refuse",
                actor=get_actor(),
                at=clock.now(),
            )
        except InvalidAmountError as error:
            form.credits.errors = [str(error)]
        except NotFoundError as error:
            form.spender.errors = [error.message]
        except InvalidFieldsError as error:
            add_errors(form, error)
        else:
            flash("The budget is set. The next call meets it.")
            return redirect(url_for("dashboard.budgets"))
    return render_budgets(form), 422


@dashboard.post("/console/budgets/<period>/remove", defaults={"key_id": ACCOUNT})
@dashboard.post("/console/budgets/<period>/<key_id>/remove")
@permission_required(Permission.BUDGETS_MANAGE)
def remove_budget(period: str, key_id: str) -> ResponseReturnValue:
    """Remove a budget."""
    unset_budget(
        organisation_id=get_own_organisation().id,
        key_id=key_id or None,
        period=period,
        actor=get_actor(),
        at=clock.now(),
    )
    flash("The budget is removed.")
    return redirect(url_for("dashboard.budgets"))


def make_form() -> BudgetForm:
    """Make the form, which offers the account and its active keys."""
    form = BudgetForm()
    keys = [key for key in list_keys(get_own_organisation().id) if key.revoked_at is None]
    of_keys = ((key.id, f"{key.name} ({key.prefix}...)") for key in keys)
    form.spender.choices = list_choices([(ACCOUNT, "The whole account"), *of_keys])
    return form


def render_budgets(form: BudgetForm) -> str:
    """Render the page."""
    organisation = get_own_organisation()
    found = list_spent_budgets(organisation.id, at=clock.now())
    return render_template(
        "budgets.html",
        form=form,
        budgets=found,
        alerts=list_alerts(organisation.id, limit=SHOWN_ALERTS),
        key_names={spent.budget.spender: spent.key_name for spent in found},
        periods=PERIODS,
    )
