"""The organisation: its members, its invitations, its name."""

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from webapp.accounts import invitations, organisations
from webapp.accounts.email_addresses import check_verified
from webapp.accounts.queries import list_members
from webapp.accounts.roles import DESCRIPTIONS, Permission, Role
from webapp.authentication import login_required, permission_required
from webapp.core import clock
from webapp.core.errors import NotFoundError, UpcubeError
from webapp.dashboard import dashboard
from webapp.dashboard.visitor import forget_organisation, get_actor, get_own_organisation, get_visitor
from webapp.extensions import runtime
from webapp.keys.departures import list_active_keys_of, remove_member


@dashboard.get("/console/organisation")
@permission_required(Permission.MEMBERS_READ)
def organisation() -> str:
    """Show who belongs to the organisation and who is invited."""
    return render_organisation()


@dashboard.post("/console/organisation")
@permission_required(Permission.ORGANISATION_MANAGE)
def rename_organisation() -> ResponseReturnValue:
    """Give the organisation another name."""
    name = request.form.get("name", "")
    try:
        organisations.rename_organisation(
            organisation_id=get_own_organisation().id, name=name, actor=get_actor(), at=clock.now()
        )
    except UpcubeError as error:
        return render_organisation(error, place="settings", name=name), error.status
    flash("The organisation has its new name.")
    return back()


@dashboard.post("/console/organisation/leaked-keys")
@permission_required(Permission.ORGANISATION_MANAGE)
def choose_leak_policy() -> ResponseReturnValue:
    """Choose what becomes of keys that leak."""
    revokes = request.form.get("revokes") == "1"
    organisations.set_leak_policy(
        organisation_id=get_own_organisation().id, revokes=revokes, actor=get_actor(), at=clock.now()
    )
    flash("Keys that leak are revoked at once." if revokes else "Of keys that leak you are only warned.")
    return back()


@dashboard.post("/console/organisation/invitations")
@permission_required(Permission.MEMBERS_MANAGE)
def send_invitation() -> ResponseReturnValue:
    """Invite somebody by mail."""
    email, role = request.form.get("email", ""), request.form.get("role", "")
    try:
        check_may_write()
        sent = invitations.invite(
            organisation_id=get_own_organisation().id,
            email=email,
            role=role,
            by_id=get_visitor().user.id,
            link_to=invitation_link,
            actor=get_actor(),
            at=clock.now(),
        )
    except UpcubeError as error:
        return render_organisation(error, place="invite", email=email, role=role), error.status
    flash(f"An invitation is on its way to {sent.email}.")
    return back()


@dashboard.post("/console/organisation/invitations/<invitation_id>/resend")
@permission_required(Permission.MEMBERS_MANAGE)
def resend_invitation(invitation_id: str) -> ResponseReturnValue:
    """Send an invitation again."""
    check_may_write()
    sent = invitations.resend(
        organisation_id=get_own_organisation().id,
        invitation_id=invitation_id,
        by_id=get_visitor().user.id,
        link_to=invitation_link,
        actor=get_actor(),
        at=clock.now(),
    )
    flash(f"A new invitation is on its way to {sent.email}. The link in the old one has ended.")
    return back()


@dashboard.post("/console/organisation/invitations/<invitation_id>/withdraw")
@permission_required(Permission.MEMBERS_MANAGE)
def withdraw_invitation(invitation_id: str) -> ResponseReturnValue:
    """End an invitation."""
    ended = invitations.withdraw(
        organisation_id=get_own_organisation().id, invitation_id=invitation_id, actor=get_actor(), at=clock.now()
    )
    flash(f"The invitation to {ended.email} is withdrawn.")
    return back()


@dashboard.post("/console/organisation/members/<user_id>/role")
@permission_required(Permission.MEMBERS_MANAGE)
def change_role(user_id: str) -> ResponseReturnValue:
    """Give a member another role."""
    try:
        member = organisations.change_role(
            organisation_id=get_own_organisation().id,
            user_id=user_id,
            role=request.form.get("role", ""),
            by_id=get_visitor().user.id,
            actor=get_actor(),
            at=clock.now(),
        )
    except UpcubeError as error:
        return render_organisation(error, place="members"), error.status
    flash(f"{member.user.email} is now {member.role}.")
    return back()


@dashboard.post("/console/organisation/owner")
@permission_required(Permission.OWNERS_MANAGE)
def transfer_ownership() -> ResponseReturnValue:
    """Hand the organisation over to another member."""
    try:
        member = organisations.transfer_ownership(
            organisation_id=get_own_organisation().id,
            user_id=request.form.get("user_id", ""),
            by_id=get_visitor().user.id,
            actor=get_actor(),
            at=clock.now(),
        )
    except UpcubeError as error:
        return render_organisation(error, place="settings"), error.status
    flash(f"{member.user.email} is now owner, and you are admin.")
    return back()


@dashboard.get("/console/organisation/members/<user_id>/remove")
@permission_required(Permission.MEMBERS_MANAGE)
def confirm_removal(user_id: str) -> str:
    """Ask whether to remove a member, and what becomes of the keys that they made."""
    return render_removal(user_id)


@dashboard.post("/console/organisation/members/<user_id>/remove")
@permission_required(Permission.MEMBERS_MANAGE)
def remove(user_id: str) -> ResponseReturnValue:
    """Remove a member."""
    if user_id == get_visitor().user.id:
        return redirect(url_for("dashboard.confirm_leaving"))
    try:
        target = end_membership(user_id)
    except UpcubeError as error:
        return render_removal(user_id, error), error.status
    flash(f"{target} no longer belongs to this organisation.")
    return back()


@dashboard.get("/console/organisation/leave")
@login_required
def confirm_leaving() -> str:
    """Ask whether to leave."""
    return render_removal(get_visitor().user.id)


@dashboard.post("/console/organisation/leave")
@login_required
def leave() -> ResponseReturnValue:
    """Leave the organisation, for one's personal account."""
    user_id, name = get_visitor().user.id, get_own_organisation().name
    try:
        end_membership(user_id)
    except UpcubeError as error:
        return render_removal(user_id, error), error.status
    forget_organisation()
    flash(f"You have left \u2068{name}\u2069.")
    return redirect(url_for("dashboard.overview"))


def end_membership(user_id: str) -> str:
    """End a membership as the form says, and give whose it was."""
    return remove_member(
        organisation_id=get_own_organisation().id,
        user_id=user_id,
        revokes_keys=request.form.get("revoke_keys") == "1",
        by_id=get_visitor().user.id,
        actor=get_actor(),
        at=clock.now(),
    ).label


def check_may_write() -> None:
    """Refuse somebody who has not shown that they read mail themselves to write to others. Raises UnverifiedError."""
    check_verified(get_visitor().user, is_required=runtime().require_verified_email)


def invitation_link(token: str) -> str:
    """Give the address of the page that takes an invitation's token."""
    root = runtime().public_url or request.host_url.rstrip("/")
    return root + url_for("dashboard.invitation", token=token)


def back() -> ResponseReturnValue:
    """Go back to the page."""
    return redirect(url_for("dashboard.organisation"))


def render_organisation(error: UpcubeError | None = None, *, place: str = "", **fields: str) -> str:
    """Render the page; `place` says which form was refused, and `fields` what it held."""
    organisation_id = get_own_organisation().id
    return render_template(
        "organisation.html",
        members=list_members(organisation_id),
        pending=invitations.list_pending(organisation_id, at=clock.now()),
        roles=DESCRIPTIONS,
        owner=Role.OWNER,
        error=error,
        place=place,
        fields=fields,
        max_name_length=organisations.MAX_NAME_LENGTH,
    )


def render_removal(user_id: str, error: UpcubeError | None = None) -> str:
    """Render the question whether somebody is to go. Raises NotFoundError."""
    organisation_id = get_own_organisation().id
    member = next((member for member in list_members(organisation_id) if member.user_id == user_id), None)
    if member is None:
        raise NotFoundError("This organisation has no such member.", target="userId")
    return render_template(
        "member_removal.html",
        member=member,
        keys=list_active_keys_of(organisation_id=organisation_id, user_id=user_id),
        error=error,
    )
