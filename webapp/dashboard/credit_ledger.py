"""Credits: where they are, and every movement of them."""

from flask import render_template

from webapp.authentication import login_required
from webapp.dashboard import dashboard
from webapp.dashboard.visitor import get_own_organisation
from webapp.ledger.queries import list_transfers
from webapp.metering.credits import get_credits

SHOWN_TRANSFERS = 100


@dashboard.get("/console/credits")
@login_required
def credit_ledger() -> str:
    """Show what became of the credits that were granted, and the ledger's last lines."""
    organisation = get_own_organisation()
    return render_template(
        "credit_ledger.html",
        credits=get_credits(organisation.id),
        transfers=list_transfers(organisation.id, limit=SHOWN_TRANSFERS).rows,
        shown=SHOWN_TRANSFERS,
    )
