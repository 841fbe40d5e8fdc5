"""Grants that expire, refunds, and usage by day: tables, columns, and the triggers that keep them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0003"
branch_labels = None
depends_on = None

IS_VOID = "SELECT 1 FROM void_references WHERE reference = NEW.reference"

# As in 0001.
MOVES = """
    granted = granted + CASE NEW.debit_account WHEN 'grants' THEN NEW.microcredits ELSE 0 END
                      - CASE NEW.credit_account WHEN 'grants' THEN NEW.microcredits ELSE 0 END,
    available = available + CASE NEW.credit_account WHEN 'customer' THEN NEW.microcredits ELSE 0 END
                          - CASE NEW.debit_account WHEN 'customer' THEN NEW.microcredits ELSE 0 END,
    spent = spent + CASE NEW.credit_account WHEN 'revenue' THEN NEW.microcredits ELSE 0 END
                  - CASE NEW.debit_account WHEN 'revenue' THEN NEW.microcredits ELSE 0 END,
    expired = expired + CASE NEW.credit_account WHEN 'expired' THEN NEW.microcredits ELSE 0 END
                      - CASE NEW.debit_account WHEN 'expired' THEN NEW.microcredits ELSE 0 END,
"""
# Redis must be told only of what comes to the customer: whatever leaves it was held or counted in Redis before.
APPLY_TRANSFER = f"""
UPDATE balances SET {MOVES}
    credited = credited + CASE NEW.credit_account WHEN 'customer' THEN NEW.microcredits ELSE 0 END,
    refunded = refunded + CASE NEW.debit_account WHEN 'revenue' THEN NEW.microcredits ELSE 0 END,
    version = version + CASE NEW.credit_account WHEN 'customer' THEN 1 ELSE 0 END
WHERE organisation_id = NEW.organisation_id
"""  # nosec B608  # our own words
APPLY_TRANSFER_BEFORE = f"""
UPDATE balances SET {MOVES}
    version = version + CASE NEW.credit_account WHEN 'revenue' THEN 0 ELSE 1 END
WHERE organisation_id = NEW.organisation_id
"""  # nosec B608  # our own words

HAS_LOTS = """
NEW.debit_account = 'customer'
AND EXISTS (SELECT 1 FROM credit_lots WHERE organisation_id = NEW.organisation_id AND remaining > 0)
"""
# Each lot pays what the lots that expire before it do not. Those sums are of the lots as they were before any of them
# is changed: what FROM names is read first. (A subquery for each row would see the rows that are changed already.)
CONSUME_LOTS = """
UPDATE credit_lots SET remaining = CASE
    WHEN ordered.up_to_it <= NEW.microcredits THEN 0
    ELSE ordered.up_to_it - NEW.microcredits
END
FROM (
    SELECT id AS lot_id, remaining AS in_it, sum(remaining) OVER (ORDER BY expires_at, id) AS up_to_it
    FROM credit_lots WHERE organisation_id = NEW.organisation_id AND remaining > 0
) AS ordered
WHERE credit_lots.id = ordered.lot_id AND ordered.up_to_it - ordered.in_it < NEW.microcredits
"""

# A lot is made with its grant, whole.
IS_NEW_LOT = """
NOT EXISTS (SELECT 1 FROM credit_lots WHERE id = NEW.id)
AND EXISTS (
    SELECT 1 FROM transfers JOIN balances ON balances.organisation_id = transfers.organisation_id
    WHERE transfers.id = NEW.id AND transfers.organisation_id = NEW.organisation_id
    AND transfers.debit_account = 'grants' AND transfers.credit_account = 'customer'
    AND transfers.microcredits = NEW.remaining
    AND balances.credited - balances.available = NEW.outflow_before
    AND balances.available >= NEW.remaining + (
        SELECT coalesce(sum(remaining), 0) FROM credit_lots WHERE organisation_id = NEW.organisation_id
    )
)
"""
IS_CONSUMPTION = """
NEW.id = OLD.id AND NEW.organisation_id = OLD.organisation_id AND NEW.expires_at = OLD.expires_at
AND NEW.outflow_before = OLD.outflow_before AND NEW.remaining < OLD.remaining
"""
# A refund gives back some of one charge, and with those before it no more than all of it.
IS_REFUND_OF_CHARGE = """
NOT EXISTS (SELECT 1 FROM refunds WHERE transfer_id = NEW.transfer_id)
AND EXISTS (
    SELECT 1 FROM transfers AS refund JOIN transfers AS charge ON charge.organisation_id = refund.organisation_id
    WHERE refund.id = NEW.transfer_id AND charge.id = NEW.charge_id
    AND refund.debit_account = 'revenue' AND refund.credit_account = 'customer'
    AND charge.debit_account = 'customer' AND charge.credit_account = 'revenue'
    AND charge.microcredits >= refund.microcredits + (
        SELECT coalesce(sum(earlier.microcredits), 0)
        FROM refunds JOIN transfers AS earlier ON earlier.id = refunds.transfer_id
        WHERE refunds.charge_id = NEW.charge_id
    )
)
"""

BAD_LOT = "a lot of credits is its grant, whole"
BAD_LOT_CHANGE = "a lot of credits is only consumed"
BAD_REFUND = "this is more than is left of the charge to refund"
BAD_REFUND_CHANGE = "refunds are append-only"


def sqlite_apply(update: str) -> str:
    """Give the trigger of 0001, with the update that it makes."""
    return (
        f"CREATE TRIGGER transfers_apply AFTER INSERT ON transfers BEGIN {update}; "
        f"SELECT RAISE(ABORT, 'this reference is void') WHERE EXISTS ({IS_VOID}); END"
    )


def sqlite_refuse(name: str, event: str, message: str, unless: str | None = None) -> str:
    """Give a trigger that refuses a change, unless something is true."""
    condition = f" WHEN NOT ({unless})" if unless else ""
    return f"CREATE TRIGGER {name} BEFORE {event}{condition} BEGIN SELECT RAISE(ABORT, '{message}'); END"


SQLITE = (
    "DROP TRIGGER transfers_apply",
    sqlite_apply(APPLY_TRANSFER),
    f"CREATE TRIGGER transfers_consume_lots AFTER INSERT ON transfers WHEN {HAS_LOTS} BEGIN {CONSUME_LOTS}; END",
    sqlite_refuse("credit_lots_insert", "INSERT ON credit_lots", BAD_LOT, IS_NEW_LOT),
    sqlite_refuse("credit_lots_update", "UPDATE ON credit_lots", BAD_LOT_CHANGE, IS_CONSUMPTION),
    sqlite_refuse("credit_lots_delete", "DELETE ON credit_lots", BAD_LOT_CHANGE),
    sqlite_refuse("refunds_insert", "INSERT ON refunds", BAD_REFUND, IS_REFUND_OF_CHARGE),
    sqlite_refuse("refunds_update", "UPDATE ON refunds", BAD_REFUND_CHANGE),
    sqlite_refuse("refunds_delete", "DELETE ON refunds", BAD_REFUND_CHANGE),
)


def postgresql_apply(update: str, then: str = "") -> str:
    """Give the function of 0001, with the update that it makes and what follows that."""
    return (
        f"CREATE OR REPLACE FUNCTION apply_transfer() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {update}; {then} "
        f"IF EXISTS ({IS_VOID}) THEN RAISE EXCEPTION 'this reference is void' USING ERRCODE = 'check_violation'; "
        "END IF; RETURN NULL; END $$"
    )


def postgresql_refuse(name: str, event: str, message: str, unless: str) -> tuple[str, str]:
    """Give a trigger that refuses a row's change unless something is true, and its function."""
    return (
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NOT ({unless}) THEN "
        f"RAISE EXCEPTION '{message}' USING ERRCODE = 'check_violation'; END IF; RETURN NEW; END $$",
        f"CREATE TRIGGER {name} BEFORE {event} FOR EACH ROW EXECUTE FUNCTION {name}()",
    )


def postgresql_freeze(table: str, events: str, message: str) -> tuple[str, str]:
    """Give a trigger that refuses some statements altogether, and its function."""
    return (
        f"CREATE FUNCTION {table}_freeze() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{message}'; END $$",
        f"CREATE TRIGGER {table}_freeze BEFORE {events} ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_freeze()",
    )


POSTGRESQL = (
    # The balance is updated, and so locked, before the lots are read.
    postgresql_apply(APPLY_TRANSFER, f"IF {HAS_LOTS} THEN {CONSUME_LOTS}; END IF;"),
    *postgresql_refuse("credit_lots_insert", "INSERT ON credit_lots", BAD_LOT, IS_NEW_LOT),
    # PostgreSQL also tells whether it is a trigger that updates.
    *postgresql_refuse(
        "credit_lots_update", "UPDATE ON credit_lots", BAD_LOT_CHANGE, f"{IS_CONSUMPTION} AND pg_trigger_depth() > 1"
    ),
    *postgresql_freeze("credit_lots", "DELETE OR TRUNCATE", BAD_LOT_CHANGE),
    *postgresql_refuse("refunds_insert", "INSERT ON refunds", BAD_REFUND, IS_REFUND_OF_CHARGE),
    *postgresql_freeze("refunds", "UPDATE OR DELETE OR TRUNCATE", BAD_REFUND_CHANGE),
)

SQLITE_BACK = (
    "DROP TRIGGER transfers_consume_lots",
    "DROP TRIGGER transfers_apply",
    sqlite_apply(APPLY_TRANSFER_BEFORE),
)
POSTGRESQL_BACK = (postgresql_apply(APPLY_TRANSFER_BEFORE),)
POSTGRESQL_FUNCTIONS = (
    "credit_lots_insert",
    "credit_lots_update",
    "credit_lots_freeze",
    "refunds_insert",
    "refunds_freeze",
)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "credit_lots",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("remaining", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.Column("outflow_before", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("remaining >= 0", name=op.f("ck_credit_lots_not_negative")),
        sa.ForeignKeyConstraint(["id"], ["transfers.id"], name=op.f("fk_credit_lots_id_transfers")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["balances.organisation_id"], name=op.f("fk_credit_lots_organisation_id_balances")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_lots")),
    )
    op.create_index(
        op.f("ix_credit_lots_organisation_id_expires_at_id"),
        "credit_lots",
        ["organisation_id", "expires_at", "id"],
        sqlite_where=sa.text("remaining > 0"),
        postgresql_where=sa.text("remaining > 0"),
    )
    op.create_table(
        "refunds",
        sa.Column("transfer_id", sa.String(length=40), nullable=False),
        sa.Column("charge_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["transfer_id"], ["transfers.id"], name=op.f("fk_refunds_transfer_id_transfers")),
        sa.ForeignKeyConstraint(["charge_id"], ["transfers.id"], name=op.f("fk_refunds_charge_id_transfers")),
        sa.PrimaryKeyConstraint("transfer_id", name=op.f("pk_refunds")),
    )
    op.create_index(op.f("ix_refunds_charge_id"), "refunds", ["charge_id"])

    # Not as a batch: SQLite would copy the table, and the triggers that name it would be in the way.
    op.add_column("balances", sa.Column("credited", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("balances", sa.Column("refunded", sa.BigInteger(), server_default="0", nullable=False))
    op.execute(
        "UPDATE balances SET credited = (SELECT coalesce(sum(microcredits), 0) FROM transfers "
        "WHERE transfers.organisation_id = balances.organisation_id AND credit_account = 'customer')"
    )
    op.add_column("usage", sa.Column("hours", sa.SmallInteger(), server_default="1", nullable=False))

    for statement in POSTGRESQL if op.get_bind().dialect.name == "postgresql" else SQLITE:
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    for statement in POSTGRESQL_BACK if is_postgresql else SQLITE_BACK:
        op.execute(statement)
    # With their triggers, one of which names a column.
    op.drop_table("refunds")
    op.drop_table("credit_lots")
    op.drop_column("usage", "hours")
    op.drop_column("balances", "refunded")
    op.drop_column("balances", "credited")
    if is_postgresql:
        for function in POSTGRESQL_FUNCTIONS:
            op.execute(f"DROP FUNCTION {function}")
