"""Settings: the profile."""

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import InputRequired

from webapp.accounts.email_addresses import ask_email_change
from webapp.authentication import login_required, recent_login_required
from webapp.core import clock
from webapp.core.errors import InvalidFieldsError
from webapp.dashboard import dashboard
from webapp.dashboard.browser import get_site_url
from webapp.dashboard.forms import add_errors
from webapp.dashboard.outbox import may_read_outbox
from webapp.dashboard.visitor import get_actor, get_visitor


class EmailForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """The new address."""

    email = StringField("New e-mail address", [InputRequired("Enter your new e-mail address.")])


@dashboard.get("/console/settings")
@login_required
def settings_profile() -> str:
    """Show the address and whether it is verified."""
    return render_template("settings_profile.html", user=get_visitor().user, has_outbox=may_read_outbox())


@dashboard.route("/console/settings/email", methods=["GET", "POST"])
@recent_login_required
def settings_email() -> ResponseReturnValue:
    """Ask for another address, and mail a link to it."""
    form, user = EmailForm(), get_visitor().user
    if form.validate_on_submit():
        try:
            email = ask_email_change(
                user=user, email=form.email.data or "", site_url=get_site_url(), actor=get_actor(), at=clock.now()
            )
        except InvalidFieldsError as error:
            add_errors(form, error)
        else:
            flash(f"Open the link that we sent to \u2068{email}\u2069. Until then your address stays as it is.")
            return redirect(url_for("dashboard.settings_profile"))
    return render_template("settings_email.html", form=form, user=user), 422 if form.errors else 200
