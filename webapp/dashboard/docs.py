"""The quickstart."""

from flask import render_template

from webapp.authentication import public
from webapp.dashboard import dashboard
from webapp.dashboard.examples import get_example
from webapp.extensions import runtime
from webapp.jobs.plans import MAX_SETTINGS_BYTES
from webapp.jobs.result_sizes import MAX_RESULT_BYTES
from webapp.jobs.tasks import MAX_CIRCUITS
from webapp.keys.scopes import SCOPES
from webapp.quantum import limits, pricing
from webapp.quantum.backends import list_backends
from webapp.quantum.engines.costs import MEMORY_LIMIT_BYTES
from webapp.quantum.noise import PRESETS
from webapp.quantum.templates import list_templates


@dashboard.get("/docs")
@public
def docs() -> str:
    """Show how to call the API, with the limits and prices that this service has."""
    return render_template(
        "docs.html",
        example=get_example(),
        runtime=runtime(),
        scopes=SCOPES,
        pricing=pricing,
        backends=list_backends(),
        limits=limits,
        max_circuits=MAX_CIRCUITS,
        max_result_bytes=MAX_RESULT_BYTES,
        max_settings_bytes=MAX_SETTINGS_BYTES,
        max_shots=limits.MAX_SHOTS,
        memory_limit_bytes=MEMORY_LIMIT_BYTES,
        noise_presets=PRESETS,
        templates=list_templates(),
    )
