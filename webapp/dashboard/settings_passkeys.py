"""Settings: adding, naming and removing passkeys."""

from flask import current_app, flash, redirect, session, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import StringField

from webapp.accounts.passkeys import (
    PasskeyError,
    register_passkey,
    remove_passkey,
    rename_passkey,
    start_registration,
)
from webapp.authentication import login_required, recent_login_required
from webapp.core import clock
from webapp.core.errors import InvalidFieldsError
from webapp.dashboard import dashboard
from webapp.dashboard.browser import get_party
from webapp.dashboard.entrance import JSON, PasskeyForm
from webapp.dashboard.visitor import get_actor, get_visitor


class NewPasskeyForm(PasskeyForm):
    """What the browser has made, and what its user calls it."""

    name = StringField("Name")


class PasskeyNameForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """What a passkey is to be called."""

    name = StringField("Name")


@dashboard.post("/console/settings/second-factors/passkeys/options")
@recent_login_required
def passkey_options() -> ResponseReturnValue:
    """Give what the browser needs to make a passkey."""
    ceremony = start_registration(user=get_visitor().user, party=get_party())
    session["passkey_challenge"] = ceremony.challenge
    return current_app.response_class(ceremony.options, mimetype=JSON)


@dashboard.post("/console/settings/second-factors/passkeys")
@recent_login_required
def add_passkey() -> ResponseReturnValue:
    """Keep the passkey that the browser has made."""
    form = NewPasskeyForm()
    try:
        passkey = register_passkey(
            user=get_visitor().user,
            party=get_party(),
            challenge=session.pop("passkey_challenge", ""),
            response=form.response.data or "",
            name=form.name.data or "",
            actor=get_actor(),
            at=clock.now(),
        )
    except PasskeyError as error:
        flash(error.message, "bad")
    except InvalidFieldsError as error:
        flash(error.details[0].message, "bad")
    else:
        flash(f"The passkey \u2068{passkey.name}\u2069 is added. It logs you in without your password.")
    return redirect(url_for("dashboard.settings_second_factors"))


@dashboard.post("/console/settings/second-factors/passkeys/<passkey_id>/name")
@login_required
def name_passkey(passkey_id: str) -> ResponseReturnValue:
    """Call a passkey something else."""
    try:
        rename_passkey(
            user_id=get_visitor().user.id,
            passkey_id=passkey_id,
            name=PasskeyNameForm().name.data or "",
            actor=get_actor(),
            at=clock.now(),
        )
    except InvalidFieldsError as error:
        flash(error.details[0].message, "bad")
    return redirect(url_for("dashboard.settings_second_factors"))


@dashboard.post("/console/settings/second-factors/passkeys/<passkey_id>/remove")
@recent_login_required
def take_passkey_away(passkey_id: str) -> ResponseReturnValue:
    """Remove a passkey."""
    remove_passkey(user=get_visitor().user, passkey_id=passkey_id, actor=get_actor(), at=clock.now())
    flash("The passkey is removed here. You may remove it from your device too.")
    return redirect(url_for("dashboard.settings_second_factors"))
