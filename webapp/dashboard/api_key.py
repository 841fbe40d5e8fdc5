"""One API key: what it may do, who made it, and its whole life."""

from datetime import timedelta

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from webapp.accounts.roles import Permission
from webapp.authentication import permission_required
from webapp.core import clock
from webapp.core.errors import InvalidFieldsError
from webapp.dashboard import dashboard
from webapp.dashboard.examples import EXAMPLE_BODY
from webapp.dashboard.key_forms import KeyForm
from webapp.dashboard.visitor import get_actor, get_own_organisation
from webapp.keys.operations import NewKey, revoke_key, set_key_disabled, update_key
from webapp.keys.queries import get_own_key, list_keys_made_by, list_old_tokens
from webapp.keys.rotation import rotate_key
from webapp.keys.scopes import PRESETS, SCOPES
from webapp.keys.settings import MAX_NAME_LENGTH
from webapp.metering.queries import get_key_usage, get_last_use

# How long the old token goes on, as the page offers it.
GRACES = {"0": "at once", "3600": "after 1 hour", "86400": "after 24 hours", "604800": "after 7 days"}


@dashboard.get("/console/api-keys/<key_id>")
@permission_required(Permission.KEYS_READ)
def api_key(key_id: str) -> str:
    """Show a key, with a form to change it. Raises NotFoundError."""
    form = KeyForm(formdata=None)
    form.show(get_own_key(organisation_id=get_own_organisation().id, key_id=key_id))
    return render_key(key_id, form)


@dashboard.post("/console/api-keys/<key_id>")
@permission_required(Permission.KEYS_MANAGE)
def update_api_key(key_id: str) -> ResponseReturnValue:
    """Change what a key may do, from its next call on."""
    organisation_id, form = get_own_organisation().id, KeyForm()
    try:
        settings = form.read(get_own_key(organisation_id=organisation_id, key_id=key_id))
        update_key(organisation_id=organisation_id, key_id=key_id, settings=settings, actor=get_actor(), at=clock.now())
    except InvalidFieldsError as error:
        form.add(error)
        return render_key(key_id, form), error.status
    flash("The key is changed. Its next call meets that.")
    return back(key_id)


@dashboard.post("/console/api-keys/<key_id>/rotate")
@permission_required(Permission.KEYS_MANAGE)
def rotate_api_key(key_id: str) -> ResponseReturnValue:
    """Give a key a new token and show it, this once."""
    form = KeyForm()
    if form.was_sent:
        flash("That form was sent before and rotated the key then.")
        return back(key_id)
    organisation_id, grace = get_own_organisation().id, request.form.get("grace", "")
    try:
        new = rotate_key(
            organisation_id=organisation_id,
            key_id=key_id,
            grace=timedelta(seconds=int(grace) if grace in GRACES else -1),
            actor=get_actor(),
            at=clock.now(),
        )
    except InvalidFieldsError as error:
        flash(error.details[0].message)
        return back(key_id)
    form.remember()
    shown = KeyForm(formdata=None)
    shown.show(new.key)
    return render_key(key_id, shown, new=new)


@dashboard.post("/console/api-keys/<key_id>/disable")
@permission_required(Permission.KEYS_MANAGE)
def disable_api_key(key_id: str) -> ResponseReturnValue:
    """Refuse a key's calls until it is enabled again."""
    return switch(key_id, disabled=True, said="is disabled. Its next call is refused")


@dashboard.post("/console/api-keys/<key_id>/enable")
@permission_required(Permission.KEYS_MANAGE)
def enable_api_key(key_id: str) -> ResponseReturnValue:
    """Let a key call again."""
    return switch(key_id, disabled=False, said="is enabled")


def switch(key_id: str, *, disabled: bool, said: str) -> ResponseReturnValue:
    """Disable or enable a key, and say so."""
    key = set_key_disabled(
        organisation_id=get_own_organisation().id,
        key_id=key_id,
        disabled=disabled,
        actor=get_actor(),
        at=clock.now(),
    )
    flash(f"The key \u2068{key.name}\u2069 {said}.")
    return back(key_id)


@dashboard.get("/console/api-keys/<key_id>/revoke")
@permission_required(Permission.KEYS_MANAGE)
def confirm_revocation(key_id: str) -> ResponseReturnValue:
    """Ask whether to revoke a key, where no script has asked."""
    key = get_own_key(organisation_id=get_own_organisation().id, key_id=key_id)
    if key.revoked_at:
        return redirect(url_for("dashboard.api_keys"))
    return render_template("api_key_revocation.html", key=key, made=list_keys_made_by(key))


@dashboard.post("/console/api-keys/<key_id>/revoke")
@permission_required(Permission.KEYS_MANAGE)
def revoke_api_key(key_id: str) -> ResponseReturnValue:
    """Revoke a key, with those that it made where that is wanted; the next call of each is refused."""
    key, made = revoke_key(
        organisation_id=get_own_organisation().id,
        key_id=key_id,
        with_made="with_made" in request.form,
        actor=get_actor(),
        at=clock.now(),
    )
    if made:
        others = f"{len(made)} key{'' if len(made) == 1 else 's'} that it made"
        flash(f"The key \u2068{key.name}\u2069 is revoked, and so {'is' if len(made) == 1 else 'are'} {others}.")
    else:
        flash(f"The key \u2068{key.name}\u2069 is revoked. Its next call is refused.")
    return redirect(url_for("dashboard.api_keys"))


def back(key_id: str) -> ResponseReturnValue:
    """Go back to the key's page."""
    return redirect(url_for("dashboard.api_key", key_id=key_id))


def render_key(key_id: str, form: KeyForm, *, new: NewKey | None = None) -> str:
    """Render the page, with the new token where there is one. Raises NotFoundError."""
    key = get_own_key(organisation_id=get_own_organisation().id, key_id=key_id)
    return render_template(
        "api_key.html",
        key=key,
        usage=get_key_usage(key),
        last_use=get_last_use(key_id),
        old_tokens=list_old_tokens(key_id, at=clock.now()),
        form=form,
        new=new,
        scopes=SCOPES,
        presets=PRESETS,
        graces=GRACES,
        max_name_length=MAX_NAME_LENGTH,
        example_body=EXAMPLE_BODY,
    )
