"""The quantum API: one file per resource, all below one path."""

from flask import Blueprint

api = Blueprint("api", __name__, url_prefix="/api/quantum/v1")

# Each module registers its routes on the blueprint when it is imported.
from webapp.api import account_credits, backends, jobs, keys, leaks, me, openapi, templates  # noqa: E402, F401 - after the blueprint that they import
