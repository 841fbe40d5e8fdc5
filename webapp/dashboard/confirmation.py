"""Proving again who one is, before what is dangerous."""

from flask import current_app, redirect, render_template, session
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import PasswordField
from wtforms.validators import InputRequired

from webapp.accounts.log_in import WrongPasswordError, confirm_log_in
from webapp.accounts.passkeys import PasskeyError, confirm_with_passkey, list_passkeys, start_authentication
from webapp.authentication import login_required
from webapp.core import clock
from webapp.dashboard import dashboard
from webapp.dashboard.browser import get_device, get_next_page, get_party, renew_session
from webapp.dashboard.entrance import JSON, PasskeyForm
from webapp.dashboard.visitor import get_visitor
from webapp.hooks import get_origin

SETTINGS = "dashboard.settings_profile"


class ConfirmationForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """The password."""

    password = PasswordField("Password", [InputRequired("Enter your password.")])


@dashboard.route("/console/confirm", methods=["GET", "POST"])
@login_required
def confirm() -> ResponseReturnValue:
    """Ask for the password again, or for a passkey, and go on."""
    form, visitor = ConfirmationForm(), get_visitor()
    if form.validate_on_submit():
        try:
            new = confirm_log_in(
                user=visitor.user,
                token=visitor.token,
                password=form.password.data or "",
                origin=get_origin(),
                device=get_device(),
                at=clock.now(),
            )
        except WrongPasswordError as error:
            form.password.errors = [error.message]
        else:
            renew_session(new, visitor.user)
            return redirect(get_next_page(SETTINGS))
    return render_confirmation(form)


@dashboard.post("/console/confirm/passkey/options")
@login_required
def passkey_confirmation_options() -> ResponseReturnValue:
    """Give what the browser needs to ask for a passkey."""
    ceremony = start_authentication(party=get_party())
    session["passkey_challenge"] = ceremony.challenge
    return current_app.response_class(ceremony.options, mimetype=JSON)


@dashboard.post("/console/confirm/passkey")
@login_required
def passkey_confirmation() -> ResponseReturnValue:
    """Take a passkey in place of the password."""
    passkey_form, visitor = PasskeyForm(), get_visitor()
    try:
        new = confirm_with_passkey(
            user=visitor.user,
            token=visitor.token,
            party=get_party(),
            challenge=session.pop("passkey_challenge", ""),
            response=passkey_form.response.data or "",
            origin=get_origin(),
            at=clock.now(),
        )
    except PasskeyError as error:
        form = ConfirmationForm(formdata=None)
        form.form_errors.append(error.message)
        return render_confirmation(form)
    renew_session(new, visitor.user)
    return redirect(get_next_page(SETTINGS))


def render_confirmation(form: FlaskForm) -> ResponseReturnValue:
    """Render the page that asks."""
    page = render_template(
        "confirm.html",
        form=form,
        has_passkeys=bool(list_passkeys(get_visitor().user.id)),
    )
    return page, 422 if form.errors else 200
