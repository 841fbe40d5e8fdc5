"""Settings: the authenticator app, its recovery codes, and the passkeys."""

import segno
from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from webapp.accounts.passkeys import MAX_NAME_LENGTH, list_passkeys
from webapp.accounts.second_factors import (
    AuthenticatorExistsError,
    WrongCodeError,
    confirm_authenticator,
    get_pending_secret,
    get_second_factors,
    make_uri,
    remove_authenticator,
    renew_recovery_codes,
    start_authenticator,
)
from webapp.authentication import login_required, recent_login_required
from webapp.core import clock
from webapp.dashboard import dashboard
from webapp.dashboard.browser import get_party
from webapp.dashboard.entrance import CodeForm
from webapp.dashboard.visitor import get_actor, get_visitor


@dashboard.get("/console/settings/second-factors")
@login_required
def settings_second_factors() -> str:
    """List what logs in besides the password."""
    user = get_visitor().user
    return render_template(
        "settings_second_factors.html",
        factors=get_second_factors(user.id),
        passkeys=list_passkeys(user.id),
        party=get_party(),
        max_name_length=MAX_NAME_LENGTH,
    )


@dashboard.post("/console/settings/second-factors/authenticator/new")
@recent_login_required
def start_authenticator_app() -> ResponseReturnValue:
    """Draw a secret for an app, and show it."""
    try:
        start_authenticator(user_id=get_visitor().user.id, at=clock.now())
    except AuthenticatorExistsError:
        return redirect(url_for("dashboard.settings_second_factors"))
    return redirect(url_for("dashboard.settings_authenticator"))


@dashboard.route("/console/settings/second-factors/authenticator", methods=["GET", "POST"])
@recent_login_required
def settings_authenticator() -> ResponseReturnValue:
    """Show the secret as a QR code, ask for a first code of the app, and show the recovery codes, this once."""
    form, user = CodeForm(), get_visitor().user
    secret = get_pending_secret(user.id)
    if secret is None:
        return redirect(url_for("dashboard.settings_second_factors"))
    if form.validate_on_submit():
        try:
            codes = confirm_authenticator(user=user, code=form.code.data or "", actor=get_actor(), at=clock.now())
        except WrongCodeError:
            form.code.errors = ["That is not the code that the app shows now. Is your device's clock right?"]
        else:
            return render_template("recovery_codes.html", codes=codes, is_new_app=True)
    page = render_template(
        "settings_authenticator.html", form=form, secret=secret, picture=draw_qr(make_uri(secret, email=user.email))
    )
    return page, 422 if form.errors else 200


def draw_qr(text: str) -> Markup:
    """Draw a QR code as an SVG element, black on white in either colour scheme, with its quiet zone."""
    svg = segno.make(text, error="m").svg_inline(
        scale=5, border=4, dark="#000", light="#fff", svgclass="qr", omitsize=True, title="QR code"
    )
    return Markup(svg)  # noqa: S704  # nosec B704  # segno writes numbers and the title above


@dashboard.post("/console/settings/second-factors/authenticator/remove")
@recent_login_required
def remove_authenticator_app() -> ResponseReturnValue:
    """Take the app away."""
    remove_authenticator(user=get_visitor().user, actor=get_actor(), at=clock.now())
    flash("Your authenticator app is removed. Your password alone logs in.")
    return redirect(url_for("dashboard.settings_second_factors"))


@dashboard.post("/console/settings/second-factors/recovery-codes")
@recent_login_required
def make_recovery_codes() -> ResponseReturnValue:
    """Make new recovery codes and show them, this once."""
    try:
        codes = renew_recovery_codes(user=get_visitor().user, actor=get_actor(), at=clock.now())
    except WrongCodeError:
        return redirect(url_for("dashboard.settings_second_factors"))
    return render_template("recovery_codes.html", codes=codes, is_new_app=False)
