"""Credits: where they are, and every movement of them."""

from webapp.api import api
from webapp.api.responses import CreditsJson, TransferJson
from webapp.api.schemas import CreditsQuery, read_query, takes
from webapp.authentication import key_required
from webapp.core.clock import format_time
from webapp.core.money import format_credits
from webapp.hooks import get_principal
from webapp.ledger.models import Account, Transfer
from webapp.ledger.queries import list_transfers
from webapp.metering.credits import get_credits


@api.get("/credits")
@key_required("usage:read")
@takes(query=CreditsQuery)
def read_credits() -> CreditsJson:
    """Give the account's credits, and the ledger's lines from the newest on."""
    query = read_query(CreditsQuery)
    organisation_id = get_principal().organisation_id
    page = list_transfers(organisation_id, limit=query.limit, cursor=query.cursor)
    found = get_credits(organisation_id)
    return {
        "granted": format_credits(found.granted),
        "available": format_credits(found.available),
        "held": format_credits(found.held),
        "unflushed": format_credits(found.unflushed),
        "spent": format_credits(found.spent),
        "expired": format_credits(found.expired),
        "expiring": [
            {"amount": format_credits(lot.microcredits), "expiresAt": format_time(lot.expires_at)}
            for lot in found.expiring
        ],
        "transfers": [render_transfer(transfer) for transfer in page.rows],
        "nextCursor": page.next_cursor,
    }


def render_transfer(transfer: Transfer) -> TransferJson:
    """Write a line of the ledger as JSON: positive where credits came to the account, negative where they left it."""
    came = transfer.credit_account == Account.CUSTOMER
    return {
        "id": transfer.id,
        "kind": transfer.kind,
        "amount": format_credits(transfer.microcredits if came else -transfer.microcredits),
        "from": transfer.debit_account,
        "to": transfer.credit_account,
        "reference": transfer.reference,
        "reason": transfer.reason,
        "createdAt": format_time(transfer.created_at),
    }
