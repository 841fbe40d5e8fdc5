"""Credits: where they are, and every movement of them."""

import re
from collections.abc import Iterable, Iterator

from flask import Response, render_template, request

from webapp.accounts.audit import Action, record_export
from webapp.accounts.roles import Permission
from webapp.authentication import permission_required
from webapp.core import clock
from webapp.core.clock import format_time
from webapp.core.money import format_credits
from webapp.dashboard import dashboard
from webapp.dashboard.exports import as_text, send_file, write_csv
from webapp.dashboard.visitor import get_actor, get_own_organisation
from webapp.ledger.models import Account, Transfer
from webapp.ledger.queries import each_transfer, list_transfers
from webapp.metering.credits import get_credits

SHOWN_TRANSFERS = 50
CURSOR = re.compile(r"tr_[0-9a-z]{26}")


@dashboard.get("/console/credits")
@permission_required(Permission.CREDITS_READ)
def credit_ledger() -> str:
    """Show what became of the credits that were granted, and the ledger, newest lines first."""
    organisation = get_own_organisation()
    cursor = request.args.get("cursor", "")
    cursor = cursor if CURSOR.fullmatch(cursor) else ""
    return render_template(
        "credit_ledger.html",
        credits=get_credits(organisation.id),
        page=list_transfers(organisation.id, limit=SHOWN_TRANSFERS, cursor=cursor or None),
        cursor=cursor,
    )


@dashboard.get("/console/credits/statement.csv")
@permission_required(Permission.CREDITS_EXPORT)
def statement() -> Response:
    """Give every line of the ledger as a CSV file (RFC 4180), oldest first."""
    organisation = get_own_organisation()
    record_export(action=Action.STATEMENT_EXPORTED, organisation_id=organisation.id, actor=get_actor(), at=clock.now())
    rows = each_row(each_transfer(organisation.id))
    return send_file(write_csv(rows), name="upcube-statement.csv", mimetype="text/csv")


def each_row(transfers: Iterable[Transfer]) -> Iterator[tuple[str, ...]]:
    """Give the file's header and its rows, with the balance after each."""
    yield ("time", "kind", "amount", "balance", "from", "to", "reason", "reference")
    balance = 0
    for transfer in transfers:
        came = transfer.credit_account == Account.CUSTOMER
        amount = transfer.microcredits if came else -transfer.microcredits
        balance += amount
        yield (
            format_time(transfer.created_at),
            transfer.kind,
            format_credits(amount),
            format_credits(balance),
            transfer.debit_account,
            transfer.credit_account,
            as_text(transfer.reason),
            transfer.reference,
        )
