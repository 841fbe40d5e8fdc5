"""The ready circuits, each with the call that runs it."""

from functools import cache

from flask import render_template

from webapp.accounts.roles import Permission
from webapp.authentication import permission_required
from webapp.dashboard import dashboard
from webapp.dashboard.diagrams import Diagram, draw
from webapp.dashboard.examples import EXAMPLE_SHOTS
from webapp.quantum.templates import get_template, list_templates


@dashboard.get("/console/templates")
@permission_required(Permission.OVERVIEW_READ)
def template_gallery() -> str:
    """Show every template, drawn with its default parameters."""
    templates = list_templates()
    diagrams = {template.id: draw_template(template.id) for template in templates}
    return render_template("template_gallery.html", templates=templates, diagrams=diagrams, shots=EXAMPLE_SHOTS)


@cache
def draw_template(template_id: str) -> Diagram | None:
    """Draw a template with its default parameters: the same for ever."""
    return draw(get_template(template_id).create_circuit({}))
