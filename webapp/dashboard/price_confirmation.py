"""Confirmation: above which price the account wants to be asked before a job runs."""

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import StringField

from webapp.accounts.roles import Permission
from webapp.authentication import permission_required
from webapp.core.money import InvalidAmountError, format_credits, parse_credits
from webapp.dashboard import dashboard
from webapp.dashboard.visitor import get_own_organisation
from webapp.jobs.confirmation import set_confirmation


class PriceConfirmationForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """The amount; empty for never asking."""

    credits = StringField("Ask before jobs that may cost more than")


@dashboard.get("/console/price-confirmation")
@permission_required(Permission.BUDGETS_MANAGE)
def price_confirmation() -> str:
    """Show the amount."""
    above = get_own_organisation().confirm_above_microcredits
    return render_price_confirmation(
        PriceConfirmationForm(data={"credits": "" if above is None else format_credits(above)})
    )


@dashboard.post("/console/price-confirmation")
@permission_required(Permission.BUDGETS_MANAGE)
def put_confirmation() -> ResponseReturnValue:
    """Set the amount, or none."""
    form = PriceConfirmationForm()
    text = (form.credits.data or "").strip()
    if form.validate_on_submit():
        try:
            above = parse_credits(text) if text else None
        except InvalidAmountError as error:
            form.credits.errors = [str(error)]
        else:
            set_confirmation(organisation_id=get_own_organisation().id, above_microcredits=above)
            flash("No job is asked about." if above is None else f"Jobs above {text} credits are asked about first.")
            return redirect(url_for("dashboard.price_confirmation"))
    return render_price_confirmation(form), 422


def render_price_confirmation(form: PriceConfirmationForm) -> str:
    """Render the page."""
    return render_template("price_confirmation.html", form=form)
