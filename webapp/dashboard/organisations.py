"""Organisations: making one, and going from one to another."""

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from webapp.accounts.organisations import MAX_NAME_LENGTH
from webapp.authentication import login_required
from webapp.core import clock
from webapp.core.errors import NotFoundError, UpcubeError
from webapp.dashboard import dashboard
from webapp.dashboard.visitor import choose_organisation, get_actor, get_visitor
from webapp.ledger.organisations import create_organisation


@dashboard.get("/console/organisations/new")
@login_required
def new_organisation() -> str:
    """Offer to make an organisation."""
    return render_template("new_organisation.html", max_name_length=MAX_NAME_LENGTH)


@dashboard.post("/console/organisations/new")
@login_required
def make_organisation() -> ResponseReturnValue:
    """Make an organisation and go there."""
    name = request.form.get("name", "")
    try:
        made = create_organisation(name=name, owner=get_visitor().user, actor=get_actor(), at=clock.now())
    except UpcubeError as error:
        page = render_template("new_organisation.html", max_name_length=MAX_NAME_LENGTH, error=error, name=name)
        return page, error.status
    choose_organisation(made.id)
    flash(f"\u2068{made.name}\u2069 is ready. Invite the others.")
    return redirect(url_for("dashboard.organisation"))


@dashboard.post("/console/organisations/switch")
@login_required
def switch_organisation() -> ResponseReturnValue:
    """Show another organisation from now on. Raises NotFoundError where the visitor does not belong to it."""
    wanted = request.form.get("to", "")
    if wanted not in {membership.organisation_id for membership in get_visitor().memberships}:
        raise NotFoundError("You belong to no such organisation.", target="to")
    choose_organisation(wanted)
    return redirect(url_for("dashboard.overview"))
