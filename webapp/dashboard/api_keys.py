"""API keys: list and create."""

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from webapp.accounts.email_addresses import UnverifiedError, check_verified
from webapp.accounts.roles import Permission
from webapp.authentication import permission_required
from webapp.core import clock
from webapp.core.errors import InvalidFieldsError
from webapp.dashboard import dashboard
from webapp.dashboard.examples import EXAMPLE_BODY
from webapp.dashboard.key_forms import KeyForm
from webapp.dashboard.visitor import get_actor, get_own_organisation, get_visitor
from webapp.extensions import runtime
from webapp.keys.operations import NewKey, TooManyKeysError, create_key
from webapp.keys.scopes import PRESETS, SCOPES
from webapp.keys.settings import MAX_NAME_LENGTH
from webapp.metering.queries import KeyUsage, list_keys_with_usage

# How many of the revoked keys are shown, the newest: a program that makes a key every night leaves thousands.
REVOKED_SHOWN = 100


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
    if form.was_sent:
        flash("That form was sent before and made its key then. Create another if you need one.")
        return redirect(url_for("dashboard.api_keys"))
    try:
        check_verified(get_visitor().user, is_required=runtime().require_verified_email)
        new = create_key(
            organisation_id=get_own_organisation().id,
            created_by_id=get_visitor().user.id,
            settings=form.read(),
            actor=get_actor(),
            at=clock.now(),
        )
    except InvalidFieldsError as error:
        form.add(error)
    except (TooManyKeysError, UnverifiedError) as error:
        form.form_errors.append(error.message)
    else:
        form.remember()
        return render_keys(KeyForm(formdata=None), new=new)
    return render_keys(form), 422


@dashboard.get("/console/api-keys/rows")
@permission_required(Permission.KEYS_READ)
def api_key_rows() -> str:
    """Give the table alone, for a page that keeps itself up to date."""
    return render_template("api_key_rows.html", **choose_keys())


def choose_keys() -> dict[str, list[KeyUsage] | int]:
    """Give the keys to show, and how many older ones that were revoked are left out."""
    keys = list_keys_with_usage(get_own_organisation().id)
    left_out = {each.key.id for each in [each for each in keys if each.key.revoked_at][REVOKED_SHOWN:]}
    return {"keys": [each for each in keys if each.key.id not in left_out], "left_out": len(left_out)}


def render_keys(form: KeyForm, *, new: NewKey | None = None) -> str:
    """Render the page, with the new key's token where there is one."""
    return render_template(
        "api_keys.html",
        form=form,
        new=new,
        **choose_keys(),
        scopes=SCOPES,
        presets=PRESETS,
        max_name_length=MAX_NAME_LENGTH,
        example_body=EXAMPLE_BODY,
    )
