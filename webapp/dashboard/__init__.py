"""The pages for people: one file per page."""

from flask import Blueprint

dashboard = Blueprint("dashboard", __name__)

# Each module registers its routes on the blueprint when it is imported.
from webapp.dashboard import (  # noqa: E402, F401 - after the blueprint that they import
    api_key,
    api_keys,
    audit,
    budgets,
    confirmation,
    credit_ledger,
    docs,
    entrance,
    formatting,
    invitation,
    jobs,
    landing,
    organisation,
    organisations,
    outbox,
    overview,
    playground,
    price_confirmation,
    reset,
    service,
    settings_data,
    settings_passkeys,
    settings_password,
    settings_profile,
    settings_second_factors,
    settings_sessions,
    template_gallery,
    usage,
    verification,
)
