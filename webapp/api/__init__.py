"""The quantum API: one file per resource, all below one path."""

from flask import Blueprint

from webapp.endpoints import API_NAME, API_PREFIX

api = Blueprint(API_NAME, __name__, url_prefix=API_PREFIX)

# Each module registers its routes on the blueprint when it is imported.
from webapp.api import (  # noqa: E402 - after the blueprint that they import
    account_credits,  # noqa: F401
    backends,  # noqa: F401
    jobs,  # noqa: F401
    keys,  # noqa: F401
    leaks,  # noqa: F401
    me,  # noqa: F401
    openapi,  # noqa: F401
    templates,  # noqa: F401
    usage,  # noqa: F401
)
