"""The page that an invitation's link leads to."""

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from webapp.accounts import invitations
from webapp.authentication import login_required, public
from webapp.core import clock
from webapp.dashboard import dashboard
from webapp.dashboard.visitor import choose_organisation, get_actor, get_visitor


@dashboard.get("/invitations/<token>")
@public
def invitation(token: str) -> str:
    """Show what one is invited to, and how to accept. Raises InvitationOverError."""
    return render_template("invitation.html", invitation=invitations.find_invitation(token, at=clock.now()))


@dashboard.post("/invitations/<token>")
@login_required
def accept_invitation(token: str) -> ResponseReturnValue:
    """Join the organisation and go there."""
    member = invitations.accept(token=token, user_id=get_visitor().user.id, actor=get_actor(), at=clock.now())
    choose_organisation(member.organisation_id)
    flash(f"You have joined \u2068{member.organisation.name}\u2069 as {member.role}.")
    return redirect(url_for("dashboard.overview"))
