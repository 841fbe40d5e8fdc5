"""What a key is and may do."""

from flask import g

from webapp.api import api
from webapp.api.responses import KeyJson
from webapp.authentication import key_required
from webapp.hooks import get_principal
from webapp.metering.admission import Admission


@api.get("/me")
@key_required(None)
def read_me() -> KeyJson:
    """Give the key that asks."""
    principal = get_principal()
    admission: Admission = g.admission
    return {
        "id": principal.key_id,
        "name": principal.name,
        "prefix": principal.prefix,
        "organisationId": principal.organisation_id,
        "scopes": list(principal.scopes),
        "limits": [
            {
                "name": limit.name,
                "quota": limit.quota,
                "windowSeconds": limit.window_seconds,
                "remaining": limit.remaining,
            }
            for limit in admission.limits
        ],
        # No key has a budget of its own yet: the account's balance is the only bound.
        "budget": None,
    }
