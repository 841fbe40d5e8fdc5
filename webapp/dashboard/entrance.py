"""Sign-up, log-in and log-out."""

from flask import current_app, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, logout_user
from flask_wtf import FlaskForm
from wtforms import HiddenField, PasswordField, StringField
from wtforms.validators import InputRequired

from webapp.accounts import log_in as entry
from webapp.accounts.audit import unknown_actor
from webapp.accounts.log_in import SecondFactorRequiredError, TicketOverError, WrongLoginError
from webapp.accounts.passkeys import PasskeyError, log_in_with_passkey, start_authentication
from webapp.accounts.queries import get_user, get_user_by_email
from webapp.accounts.second_factors import WrongCodeError
from webapp.accounts.sessions import log_out as end_session
from webapp.accounts.throttle import count_challenges, count_sign_ups, take_attempt
from webapp.authentication import login_required, public
from webapp.core import clock
from webapp.core.errors import InvalidFieldsError
from webapp.dashboard import dashboard
from webapp.dashboard.browser import begin_session, get_device, get_party, get_site_url
from webapp.dashboard.examples import get_example
from webapp.dashboard.forms import add_errors
from webapp.dashboard.visitor import get_visitor
from webapp.extensions import runtime
from webapp.hooks import get_origin
from webapp.ledger.sign_up import sign_up

JSON = "application/json"


class EntranceForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """An e-mail address and a password."""

    email = StringField("E-mail address", [InputRequired("Enter your e-mail address.")])
    password = PasswordField("Password", [InputRequired("Enter a password.")])


class CodeForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """A code of an authenticator app, or a recovery code."""

    code = StringField("Code", [InputRequired("Enter a code.")])


class PasskeyForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """What the browser answered to the challenge."""

    response = HiddenField("Passkey", [InputRequired("No passkey was chosen.")])


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
            if runtime().mail_server:
                take_attempt(count_sign_ups(get_origin().address))
            sign_up(
                email=email,
                password=password,
                starting_microcredits=runtime().starting_microcredits,
                verified=False,
                actor=unknown_actor(get_origin()),
                at=clock.now(),
                site_url=get_site_url(),
            )
        except InvalidFieldsError as error:
            add_errors(form, error)
        else:
            return enter(email, password)
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
            return enter(form.email.data or "", form.password.data or "")
        except WrongLoginError as error:
            form.form_errors.append(error.message)
    return render_log_in(form)


def enter(email: str, password: str) -> ResponseReturnValue:
    """Log in, or go on to the second step. Raises WrongLoginError."""
    try:
        new = entry.log_in(email=email, password=password, origin=get_origin(), device=get_device(), at=clock.now())
    except SecondFactorRequiredError as step:
        session["log_in_ticket"] = step.ticket
        return redirect(url_for("dashboard.second_factor", next=request.args.get("next")))
    return begin_session(new, get_user_by_email(email))


def render_log_in(form: FlaskForm) -> ResponseReturnValue:
    """Render the log-in page."""
    return render_template("login.html", form=form, party=get_party()), 422 if form.errors else 200


@dashboard.route("/login/code", methods=["GET", "POST"])
@public
def second_factor() -> ResponseReturnValue:
    """Ask for a code after the password was right."""
    if current_user.is_authenticated or "log_in_ticket" not in session:
        return redirect(url_for("dashboard.log_in"))
    form = CodeForm()
    if form.validate_on_submit():
        try:
            new = entry.finish_log_in(
                ticket=session["log_in_ticket"],
                code=form.code.data or "",
                origin=get_origin(),
                device=get_device(),
                at=clock.now(),
            )
        except WrongCodeError as error:
            form.code.errors = [error.message]
        except TicketOverError as error:
            del session["log_in_ticket"]
            form = EntranceForm(formdata=None)
            form.form_errors.append(error.message)
            return render_log_in(form)
        else:
            return begin_session(new, get_user(new.user_id))
    return render_template("login_code.html", form=form), 422 if form.errors else 200


@dashboard.post("/login/passkey/options")
@public
def passkey_log_in_options() -> ResponseReturnValue:
    """Give what the browser needs to ask for a passkey."""
    take_attempt(count_challenges(get_origin().address))
    ceremony = start_authentication(party=get_party())
    session["passkey_challenge"] = ceremony.challenge
    return current_app.response_class(ceremony.options, mimetype=JSON)


@dashboard.post("/login/passkey")
@public
def passkey_log_in() -> ResponseReturnValue:
    """Log in whoever has the passkey that the browser answered with."""
    passkey_form, form = PasskeyForm(), EntranceForm(formdata=None)
    try:
        new = log_in_with_passkey(
            party=get_party(),
            challenge=session.pop("passkey_challenge", ""),
            response=passkey_form.response.data or "",
            origin=get_origin(),
            at=clock.now(),
        )
    except PasskeyError as error:
        form.form_errors.append(error.message)
        return render_log_in(form)
    return begin_session(new, get_user(new.user_id))


@dashboard.post("/logout")
@login_required
def log_out() -> ResponseReturnValue:
    """End this browser's session, here and on the server."""
    end_session(token=get_visitor().token, origin=get_origin(), at=clock.now())
    forget_session()
    return redirect(url_for("dashboard.landing"))


def forget_session() -> None:
    """Take the session out of the browser."""
    logout_user()
    session.clear()
