"""A new password for somebody who forgot theirs.

The link's token leaves the address bar at once, for the session's cookie: it is in no Referer and no screenshot.
Opening the link uses nothing up, as programs that look through mail open links too.
"""

from flask import flash, redirect, render_template, session, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import PasswordField, StringField
from wtforms.validators import InputRequired

from webapp.accounts.links import Purpose, find_link
from webapp.accounts.password_changes import ask_reset, reset_password
from webapp.authentication import public
from webapp.core import clock
from webapp.core.errors import InvalidFieldsError
from webapp.dashboard import dashboard
from webapp.dashboard.browser import get_site_url, know_browser
from webapp.dashboard.entrance import forget_session
from webapp.dashboard.forms import add_errors
from webapp.dashboard.outbox import may_read_outbox
from webapp.hooks import get_origin

TOKEN = "reset_token"  # noqa: S105 - where it is kept


class ResetRequestForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """Whose password is to be reset."""

    email = StringField("E-mail address", [InputRequired("Enter your e-mail address.")])


class NewPasswordForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """The new password."""

    password = PasswordField("Password", [InputRequired("Enter a password.")])


@dashboard.route("/reset", methods=["GET", "POST"])
@public
def reset() -> ResponseReturnValue:
    """Ask whose password to reset. The answer is the same whoever has the address, or nobody."""
    form = ResetRequestForm()
    if form.validate_on_submit():
        try:
            ask_reset(email=form.email.data or "", site_url=get_site_url(), origin=get_origin(), at=clock.now())
        except InvalidFieldsError as error:
            add_errors(form, error)
        else:
            return render_template("reset.html", form=form, is_sent=True, has_outbox=may_read_outbox())
    return render_template("reset.html", form=form, is_sent=False), 422 if form.errors else 200


@dashboard.get("/reset/<token>")
@public
def open_reset_link(token: str) -> ResponseReturnValue:
    """Take the token out of the address. Raises LinkOverError."""
    find_link(token, Purpose.RESET, at=clock.now())
    session[TOKEN] = token
    return redirect(url_for("dashboard.new_password"))


@dashboard.route("/reset/password", methods=["GET", "POST"])
@public
def new_password() -> ResponseReturnValue:
    """Ask for the new password, and use the link up. Raises LinkOverError."""
    token = session.get(TOKEN, "")
    link = find_link(token, Purpose.RESET, at=clock.now())
    form = NewPasswordForm()
    if form.validate_on_submit():
        try:
            user = reset_password(token=token, password=form.password.data or "", origin=get_origin(), at=clock.now())
        except InvalidFieldsError as error:
            add_errors(form, error)
        else:
            forget_session()
            know_browser(user)
            flash("Your password is changed. Log in with the new one.")
            return redirect(url_for("dashboard.log_in"))
    return render_template("reset_password.html", form=form, email=link.email), 422 if form.errors else 200
