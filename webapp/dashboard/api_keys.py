"""API keys: list, create, revoke."""

import secrets

from flask import flash, redirect, render_template, session, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import HiddenField, SelectMultipleField, StringField

from webapp.accounts.roles import Permission
from webapp.authentication import permission_required
from webapp.core import clock
from webapp.core.errors import InvalidFieldsError, NotFoundError
from webapp.dashboard import dashboard
from webapp.dashboard.examples import EXAMPLE_BODY
from webapp.dashboard.forms import add_errors
from webapp.dashboard.visitor import get_actor, get_own_organisation, get_visitor
from webapp.keys.models import ApiKey
from webapp.keys.operations import MAX_NAME_LENGTH, NewKey, TooManyKeysError, create_key, revoke_key
from webapp.keys.queries import list_keys
from webapp.keys.scopes import SCOPES
from webapp.metering.queries import list_keys_with_usage

# How many of this browser's last forms are remembered, so that none is taken twice.
REMEMBERED_FORMS = 10
MAX_FORM_ID_LENGTH = 40


class KeyForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """A new key's name and scopes."""

    name = StringField("Name")
    scopes = SelectMultipleField("Scopes", default=list(SCOPES), validate_choice=False)
    # Drawn anew for each page: the page that shows a new key answers a POST, and a reload sends it again.
    form_id = HiddenField(default=lambda: secrets.token_urlsafe(9))


@dashboard.get("/console/api-keys")
@permission_required(Permission.KEYS_READ)
def api_keys() -> str:
    """List the organisation's keys and offer to make another."""
    return render_keys(KeyForm())


@dashboard.post("/console/api-keys")
@permission_required(Permission.KEYS_MANAGE)
def create_api_key() -> ResponseReturnValue:
    """Make a key and show it, this once."""
    form = KeyForm()
    form_id = (form.form_id.data or "")[:MAX_FORM_ID_LENGTH]
    if form_id in session.get("sent_forms", []):
        flash("That form was sent before and made its key then. Create another if you need one.")
        return redirect(url_for("dashboard.api_keys"))
    if form.validate_on_submit():
        try:
            new = create_key(
                organisation_id=get_own_organisation().id,
                created_by_id=get_visitor().user.id,
                name=form.name.data or "",
                scopes=form.scopes.data or [],
                actor=get_actor(),
                at=clock.now(),
            )
        except InvalidFieldsError as error:
            add_errors(form, error)
        except TooManyKeysError as error:
            form.form_errors.append(error.message)
        else:
            remember_form(form_id)
            return render_keys(KeyForm(formdata=None), new=new)
    return render_keys(form), 422


def remember_form(form_id: str) -> None:
    """Note in the browser's session that this form has made its key."""
    if form_id:
        session["sent_forms"] = [form_id, *session.get("sent_forms", [])][:REMEMBERED_FORMS]


@dashboard.get("/console/api-keys/rows")
@permission_required(Permission.KEYS_READ)
def api_key_rows() -> str:
    """Give the table alone, for a page that keeps itself up to date."""
    return render_template("api_key_rows.html", keys=list_keys_with_usage(get_own_organisation().id))


@dashboard.get("/console/api-keys/<key_id>/revoke")
@permission_required(Permission.KEYS_MANAGE)
def confirm_revocation(key_id: str) -> ResponseReturnValue:
    """Ask whether to revoke a key, where no script has asked."""
    key = find_key(key_id)
    if key.revoked_at:
        return redirect(url_for("dashboard.api_keys"))
    return render_template("api_key_revocation.html", key=key)


@dashboard.post("/console/api-keys/<key_id>/revoke")
@permission_required(Permission.KEYS_MANAGE)
def revoke_api_key(key_id: str) -> ResponseReturnValue:
    """Revoke a key; its next call is refused."""
    key = revoke_key(organisation_id=get_own_organisation().id, key_id=key_id, actor=get_actor(), at=clock.now())
    flash(f"The key \u2068{key.name}\u2069 is revoked. Its next call is refused.")
    return redirect(url_for("dashboard.api_keys"))


def find_key(key_id: str) -> ApiKey:
    """Give one of the organisation's own keys. Raises NotFoundError, for somebody else's too."""
    for key in list_keys(get_own_organisation().id):
        if key.id == key_id:
            return key
    raise NotFoundError("This account has no such key.", target="keyId")


def render_keys(form: KeyForm, *, new: NewKey | None = None) -> str:
    """Render the page, with the new key's token where there is one."""
    return render_template(
        "api_keys.html",
        form=form,
        new=new,
        keys=list_keys_with_usage(get_own_organisation().id),
        scopes=SCOPES,
        max_name_length=MAX_NAME_LENGTH,
        example_body=EXAMPLE_BODY,
    )
