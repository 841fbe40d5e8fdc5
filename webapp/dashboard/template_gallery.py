"""The ready circuits, each with the call that runs it."""

from flask import render_template

from webapp.authentication import login_required
from webapp.dashboard import dashboard
from webapp.dashboard.examples import EXAMPLE_SHOTS
from webapp.quantum.templates import list_templates


@dashboard.get("/console/templates")
@login_required
def template_gallery() -> str:
    """Show every template."""
    return render_template("template_gallery.html", templates=list_templates(), shots=EXAMPLE_SHOTS)
