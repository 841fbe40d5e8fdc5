"""The pages for people: one file per page."""

from flask import Blueprint

dashboard = Blueprint("dashboard", __name__)

# Each module registers its routes on the blueprint when it is imported.
from webapp.dashboard import (  # noqa: E402, F401 - after the blueprint that they import
    api_keys,
    budgets,
    credit_ledger,
    docs,
    entrance,
    formatting,
    jobs,
    landing,
    overview,
    template_gallery,
    usage,
)
