"""Links that show that an address is somebody's: at sign-up, and when it changes.

As with resets, the token leaves the address bar at once, and only the form uses it up.
"""

from flask import flash, redirect, render_template, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf import FlaskForm

from webapp.accounts.email_addresses import ask_verification, open_link
from webapp.accounts.links import Purpose, find_link
from webapp.authentication import login_required, public
from webapp.core import clock
from webapp.core.errors import InvalidFieldsError
from webapp.dashboard import dashboard
from webapp.dashboard.browser import get_site_url
from webapp.dashboard.forms import add_errors
from webapp.dashboard.visitor import get_visitor
from webapp.hooks import get_origin

TOKEN = "verification_token"  # noqa: S105 - where it is kept


@dashboard.get("/verify/<token>")
@public
def open_verification_link(token: str) -> ResponseReturnValue:
    """Take the token out of the address. Raises LinkOverError."""
    find_link(token, Purpose.VERIFY, Purpose.CHANGE, at=clock.now())
    session[TOKEN] = token
    return redirect(url_for("dashboard.verify"))


@dashboard.route("/verify", methods=["GET", "POST"])
@public
def verify() -> ResponseReturnValue:
    """Ask for a click, and use the link up. Raises LinkOverError."""
    token = session.get(TOKEN, "")
    link = find_link(token, Purpose.VERIFY, Purpose.CHANGE, at=clock.now())
    form = FlaskForm()
    if form.validate_on_submit():
        try:
            user = open_link(token=token, origin=get_origin(), at=clock.now())
        except InvalidFieldsError as error:
            add_errors(form, error)
        else:
            del session[TOKEN]
            flash(f"The address \u2068{user.email}\u2069 is confirmed.")
            page = "dashboard.settings_profile" if current_user.is_authenticated else "dashboard.log_in"
            return redirect(url_for(page))
    return render_template("verify.html", form=form, link=link), 422 if form.errors else 200


@dashboard.post("/console/settings/verification")
@login_required
def send_verification_link() -> ResponseReturnValue:
    """Mail the link once more."""
    user = get_visitor().user
    ask_verification(user=user, site_url=get_site_url(), origin=get_origin(), at=clock.now())
    flash(f"A link is on its way to \u2068{user.email}\u2069.")
    return redirect(url_for("dashboard.settings_profile"))
