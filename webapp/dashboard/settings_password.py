"""Settings: the password."""

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import PasswordField
from wtforms.validators import InputRequired

from webapp.accounts.password_changes import change_password
from webapp.authentication import login_required
from webapp.core import clock
from webapp.core.errors import InvalidFieldsError
from webapp.dashboard import dashboard
from webapp.dashboard.browser import get_device, renew_session
from webapp.dashboard.forms import add_errors
from webapp.dashboard.visitor import get_actor, get_visitor


class PasswordForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """The password that is, and the one that is to be."""

    current = PasswordField("Current password", [InputRequired("Enter your current password.")])
    password = PasswordField("New password", [InputRequired("Enter a new password.")])


@dashboard.route("/console/settings/password", methods=["GET", "POST"])
@login_required
def settings_password() -> ResponseReturnValue:
    """Change the password; all other sessions end."""
    form, visitor = PasswordForm(), get_visitor()
    if form.validate_on_submit():
        try:
            new = change_password(
                user=visitor.user,
                token=visitor.token,
                current=form.current.data or "",
                password=form.password.data or "",
                actor=get_actor(),
                device=get_device(),
                at=clock.now(),
            )
        except InvalidFieldsError as error:
            add_errors(form, error)
        else:
            renew_session(new, visitor.user)
            flash("Your password is changed, and all other sessions ended.")
            return redirect(url_for("dashboard.settings_password"))
    return render_template("settings_password.html", form=form), 422 if form.errors else 200
