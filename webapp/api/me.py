"""What a key is and may do."""

from flask import g

from webapp.api import api
from webapp.api.key_responses import BudgetJson, KeyJson
from webapp.authentication import key_required
from webapp.core import clock
from webapp.core.clock import format_time
from webapp.core.money import format_credits
from webapp.hooks import get_principal
from webapp.ledger.budgets import end_of_period
from webapp.metering.admission import Admission
from webapp.metering.budgets import BudgetState


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
        "mode": principal.mode,
        "organisationId": principal.organisation_id,
        "scopes": principal.scopes,
        "limits": [
            {
                "name": limit.name,
                "quota": limit.quota,
                "windowSeconds": limit.window_seconds,
                "remaining": limit.remaining,
            }
            for limit in admission.limits
        ],
        "budget": [render_budget(budget) for budget in admission.budgets],
    }


def render_budget(budget: BudgetState) -> BudgetJson:
    """Write a budget that bounds this key, its own or the account's, as JSON."""
    resets_at = end_of_period(budget.period, clock.now())
    return {
        "source": f"{budget.level}_budget",
        "keyId": budget.spender or None,
        "period": budget.period,
        "limit": format_credits(budget.limit_microcredits),
        "used": format_credits(budget.used_microcredits),
        "remaining": format_credits(budget.remaining_microcredits),
        "refuses": budget.refuses,
        "resetsAt": format_time(resets_at) if resets_at else None,
    }
