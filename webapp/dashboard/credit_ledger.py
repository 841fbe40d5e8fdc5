"""Credits: where they are, and every movement of them."""

import csv
import io
from collections.abc import Iterable, Iterator

from flask import Response, render_template, stream_with_context

from webapp.authentication import login_required
from webapp.core.clock import format_time
from webapp.core.money import format_credits
from webapp.dashboard import dashboard
from webapp.dashboard.visitor import get_own_organisation
from webapp.ledger.models import Account, Transfer
from webapp.ledger.queries import each_transfer, list_transfers
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


@dashboard.get("/console/credits/statement.csv")
@login_required
def statement() -> Response:
    """Give every line of the ledger as a CSV file (RFC 4180), oldest first."""
    lines = map(write_line, each_row(each_transfer(get_own_organisation().id)))
    return Response(
        stream_with_context(lines),
        mimetype="text/csv",
        headers={"Content-Disposition": 'attachment; filename="upcube-statement.csv"'},
    )


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
            # A spreadsheet takes a cell that begins like this for a formula.
            f"'{transfer.reason}" if transfer.reason.startswith(("=", "+", "-", "@")) else transfer.reason,
            transfer.reference,
        )


def write_line(row: Iterable[str]) -> str:
    """Write one line of CSV."""
    line = io.StringIO()
    csv.writer(line).writerow(row)
    return line.getvalue()
