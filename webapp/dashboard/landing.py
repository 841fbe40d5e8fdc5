"""The page before everything: what this is."""

from flask import render_template

from webapp.authentication import public
from webapp.dashboard import dashboard
from webapp.dashboard.examples import get_example
from webapp.quantum.templates import list_templates


@dashboard.get("/")
@public
def landing() -> str:
    """Say what this is, with a call and its answer."""
    return render_template("landing.html", example=get_example(), templates=list_templates())
