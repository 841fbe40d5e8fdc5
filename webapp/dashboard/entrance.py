"""Sign-up, log-in and log-out."""

from flask import redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_user, logout_user
from flask_wtf import FlaskForm
from wtforms import PasswordField, StringField
from wtforms.validators import InputRequired

from webapp.accounts import operations
from webapp.accounts.audit import unknown_actor
from webapp.accounts.operations import WrongLoginError
from webapp.accounts.queries import get_user_by_email
from webapp.authentication import login_required, public
from webapp.core import clock
from webapp.core.errors import InvalidFieldsError
from webapp.dashboard import dashboard
from webapp.dashboard.examples import get_example
from webapp.dashboard.forms import add_errors
from webapp.dashboard.visitor import Visitor, get_visitor
from webapp.extensions import runtime
from webapp.hooks import get_origin
from webapp.ledger.sign_up import sign_up


class EntranceForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """An e-mail address and a password."""

    email = StringField("E-mail address", [InputRequired("Enter your e-mail address.")])
    password = PasswordField("Password", [InputRequired("Enter a password.")])


@dashboard.route("/signup", methods=["GET", "POST"])
@public
def sign_up_page() -> ResponseReturnValue:
    """Make an account and log its user in."""
    if current_user.is_authenticated:
        return redirect(url_for("dashboard.overview"))
    form = EntranceForm()
    if form.validate_on_submit():
        email, password = form.email.data or "", form.password.data or ""
        try:
            sign_up(
                email=email,
                password=password,
                starting_microcredits=runtime().starting_microcredits,
                verified=False,
                actor=unknown_actor(get_origin()),
                at=clock.now(),
            )
        except InvalidFieldsError as error:
            add_errors(form, error)
        else:
            return start_session(email, password)
    return render_template("signup.html", form=form, example=get_example()), 422 if form.errors else 200


@dashboard.route("/login", methods=["GET", "POST"])
@public
def log_in() -> ResponseReturnValue:
    """Log a user in and send them where they wanted to go."""
    if current_user.is_authenticated:
        return redirect(url_for("dashboard.overview"))
    form = EntranceForm()
    if form.validate_on_submit():
        try:
            return start_session(form.email.data or "", form.password.data or "")
        except WrongLoginError as error:
            form.form_errors.append(error.message)
    return render_template("login.html", form=form), 422 if form.errors else 200


@dashboard.post("/logout")
@login_required
def log_out() -> ResponseReturnValue:
    """End this browser's session, here and on the server."""
    operations.log_out(token=get_visitor().token, origin=get_origin(), at=clock.now())
    logout_user()
    session.clear()
    return redirect(url_for("dashboard.landing"))


def start_session(email: str, password: str) -> ResponseReturnValue:
    """Log in and go on to the page that was asked for. Raises WrongLoginError."""
    new = operations.log_in(
        email=email,
        password=password,
        origin=get_origin(),
        at=clock.now(),
    )
    # A fresh cookie: nothing set before the log-in is carried into it.
    session.clear()
    session.permanent = True
    login_user(Visitor(new.token, get_user_by_email(email)))
    return redirect(safe_target(request.args.get("next")))


def safe_target(target: str | None) -> str:
    """Give the page to go on to: one of ours, never another site's."""
    if target and target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable():
        return target
    return url_for("dashboard.overview")
