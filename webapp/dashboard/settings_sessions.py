"""Settings: where one is logged in."""

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from webapp.accounts.queries import list_live_sessions
from webapp.accounts.sessions import end_all_sessions, end_session, hash_session_token
from webapp.authentication import login_required
from webapp.core import clock
from webapp.dashboard import dashboard
from webapp.dashboard.entrance import forget_session
from webapp.dashboard.visitor import get_actor, get_visitor

# Each before those that claim to be it as well: Edge says that it is Chrome, and Chrome that it is Safari.
BROWSERS = {"Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "Chrome": "Chrome", "Safari": "Safari", "curl": "curl"}
SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "CrOS": "ChromeOS",
    "Mac OS X": "macOS",
    "Linux": "Linux",
}


@dashboard.get("/console/settings/sessions")
@login_required
def settings_sessions() -> str:
    """List the sessions, the last used first."""
    visitor = get_visitor()
    return render_template(
        "settings_sessions.html",
        sessions=list_live_sessions(visitor.user.id, at=clock.now()),
        this_session_id=hash_session_token(visitor.token),
    )


@dashboard.post("/console/settings/sessions/<session_id>/end")
@login_required
def end_one_session(session_id: str) -> ResponseReturnValue:
    """Log out one browser."""
    end_session(user_id=get_visitor().user.id, session_id=session_id, actor=get_actor(), at=clock.now())
    flash("That session has ended.")
    return redirect(url_for("dashboard.settings_sessions"))


@dashboard.post("/console/settings/sessions/end-all")
@login_required
def log_out_everywhere() -> ResponseReturnValue:
    """End all sessions, this one too."""
    end_all_sessions(user_id=get_visitor().user.id, actor=get_actor(), at=clock.now())
    forget_session()
    flash("You are logged out everywhere.")
    return redirect(url_for("dashboard.log_in"))


@dashboard.app_template_filter("browser")
def describe_browser(user_agent: str) -> str:
    """Name the browser and the system that a user agent says it is: Firefox on Linux."""
    browser = next((name for mark, name in BROWSERS.items() if mark in user_agent), "Unknown browser")
    system = next((name for mark, name in SYSTEMS.items() if mark in user_agent), "")
    return f"{browser} on {system}" if system else browser
