"""Settings: a copy of everything, and the end of the account."""

from flask import Response, flash, redirect, render_template, stream_with_context, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import StringField

from webapp.authentication import login_required, recent_login_required
from webapp.core import clock
from webapp.dashboard import dashboard
from webapp.dashboard.entrance import forget_session
from webapp.dashboard.visitor import get_actor, get_visitor
from webapp.privacy.deletion import LastOwnerError, delete_account
from webapp.privacy.export import export_data


class DeletionForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """The account's own address, typed to show that it is meant."""

    email = StringField("Your e-mail address")


@dashboard.get("/console/settings/data")
@login_required
def settings_data() -> str:
    """Offer a copy of the data, and the deletion of the account."""
    return render_template("settings_data.html")


@dashboard.get("/console/settings/data/export.json")
@recent_login_required
def export() -> Response:
    """Give everything that we keep about the visitor, as JSON."""
    pieces = export_data(user=get_visitor().user, actor=get_actor(), at=clock.now())
    return Response(
        stream_with_context(pieces),
        mimetype="application/json",
        headers={"Content-Disposition": 'attachment; filename="upcube-data.json"'},
    )


@dashboard.route("/console/settings/data/deletion", methods=["GET", "POST"])
@recent_login_required
def settings_deletion() -> ResponseReturnValue:
    """Ask for the address to be typed, and delete the account."""
    form, user = DeletionForm(), get_visitor().user
    if form.validate_on_submit():
        if (form.email.data or "").strip().lower() != user.email:
            form.email.errors = ["Type the address exactly as it stands above."]
        else:
            try:
                delete_account(user_id=user.id, actor=get_actor(), at=clock.now())
            except LastOwnerError as error:
                form.form_errors.append(error.message)
            else:
                forget_session()
                flash("Your account is deleted.")
                return redirect(url_for("dashboard.log_in"))
    return render_template("settings_deletion.html", form=form, user=user), 422 if form.errors else 200
