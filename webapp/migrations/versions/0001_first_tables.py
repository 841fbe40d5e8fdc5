"""First tables, and the triggers that keep the ledger: transfers never change, and balances follow from them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

IS_VOID = "SELECT 1 FROM void_references WHERE reference = NEW.reference"

# How a new transfer moves its organisation's balance. The row's own constraints refuse an overdraft.
APPLY_TRANSFER = """
UPDATE balances SET
    granted = granted + CASE NEW.debit_account WHEN 'grants' THEN NEW.microcredits ELSE 0 END
                      - CASE NEW.credit_account WHEN 'grants' THEN NEW.microcredits ELSE 0 END,
    available = available + CASE NEW.credit_account WHEN 'customer' THEN NEW.microcredits ELSE 0 END
                          - CASE NEW.debit_account WHEN 'customer' THEN NEW.microcredits ELSE 0 END,
    spent = spent + CASE NEW.credit_account WHEN 'revenue' THEN NEW.microcredits ELSE 0 END
                  - CASE NEW.debit_account WHEN 'revenue' THEN NEW.microcredits ELSE 0 END,
    expired = expired + CASE NEW.credit_account WHEN 'expired' THEN NEW.microcredits ELSE 0 END
                      - CASE NEW.debit_account WHEN 'expired' THEN NEW.microcredits ELSE 0 END,
    version = version + CASE NEW.credit_account WHEN 'revenue' THEN 0 ELSE 1 END
WHERE organisation_id = NEW.organisation_id
"""

SQLITE_TRIGGERS = (
    f"CREATE TRIGGER transfers_apply AFTER INSERT ON transfers BEGIN {APPLY_TRANSFER}; "
    f"SELECT RAISE(ABORT, 'this reference is void') WHERE EXISTS ({IS_VOID}); END",
    "CREATE TRIGGER transfers_no_update BEFORE UPDATE ON transfers "
    "BEGIN SELECT RAISE(ABORT, 'transfers are append-only'); END",
    "CREATE TRIGGER transfers_no_delete BEFORE DELETE ON transfers "
    "BEGIN SELECT RAISE(ABORT, 'transfers are append-only'); END",
    # REPLACE deletes the old row without firing the trigger above, so it is caught before it begins.
    "CREATE TRIGGER transfers_no_replace BEFORE INSERT ON transfers "
    "WHEN EXISTS (SELECT 1 FROM transfers WHERE id = NEW.id OR reference = NEW.reference) "
    "BEGIN SELECT RAISE(ABORT, 'transfers are append-only: this id or reference exists'); END",
)

POSTGRESQL_TRIGGERS = (
    # The look for a void reference comes after the update, which waits for whoever is voiding it under the balance's lock.
    f"CREATE FUNCTION apply_transfer() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {APPLY_TRANSFER}; "
    f"IF EXISTS ({IS_VOID}) THEN RAISE EXCEPTION 'this reference is void' USING ERRCODE = 'check_violation'; END IF; "
    "RETURN NULL; END $$",
    "CREATE TRIGGER transfers_apply AFTER INSERT ON transfers FOR EACH ROW EXECUTE FUNCTION apply_transfer()",
    "CREATE FUNCTION refuse_transfer_change() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'transfers are append-only'; END $$",
    "CREATE TRIGGER transfers_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON transfers "
    "FOR EACH STATEMENT EXECUTE FUNCTION refuse_transfer_change()",
)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "flush_batches",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("applied_at", sa.DateTime(), nullable=False),
        sa.Column("keys", sa.Integer(), nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.Column("microcredits", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flush_batches")),
    )
    with op.batch_alter_table("flush_batches", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_flush_batches_applied_at"), ["applied_at"], unique=False)

    op.create_table(
        "users",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=False),
        sa.Column("email_verified_at", sa.DateTime(), nullable=True),
        sa.Column("disabled_at", sa.DateTime(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
    )
    op.create_table(
        "login_sessions",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.Column("revoked_at", sa.DateTime(), nullable=True),
        sa.Column("user_agent", sa.String(length=255), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_login_sessions_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_login_sessions")),
    )
    with op.batch_alter_table("login_sessions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_login_sessions_user_id"), ["user_id"], unique=False)

    op.create_table(
        "organisations",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=254), nullable=False),
        sa.Column("shard_tag", sa.String(length=6), nullable=False),
        sa.Column("personal_user_id", sa.String(length=40), nullable=True),
        sa.Column("disabled_at", sa.DateTime(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["personal_user_id"], ["users.id"], name=op.f("fk_organisations_personal_user_id_users")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organisations")),
        sa.UniqueConstraint("personal_user_id", name=op.f("uq_organisations_personal_user_id")),
        sa.UniqueConstraint("shard_tag", name=op.f("uq_organisations_shard_tag")),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("created_by_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("prefix", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=True),
        sa.Column("revoked_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["created_by_id"], ["users.id"], name=op.f("fk_api_keys_created_by_id_users")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_api_keys_organisation_id_organisations")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("digest", name=op.f("uq_api_keys_digest")),
    )
    with op.batch_alter_table("api_keys", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_api_keys_organisation_id"), ["organisation_id"], unique=False)

    op.create_table(
        "balances",
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("granted", sa.BigInteger(), nullable=False),
        sa.Column("available", sa.BigInteger(), nullable=False),
        sa.Column("spent", sa.BigInteger(), nullable=False),
        sa.Column("expired", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("told_version", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("granted = available + spent + expired", name=op.f("ck_balances_balanced")),
        sa.CheckConstraint(
            "granted >= 0 AND available >= 0 AND spent >= 0 AND expired >= 0", name=op.f("ck_balances_not_negative")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_balances_organisation_id_organisations")
        ),
        sa.PrimaryKeyConstraint("organisation_id", name=op.f("pk_balances")),
    )
    op.create_table(
        "memberships",
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_memberships_organisation_id_organisations")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_memberships_user_id_users")),
        sa.PrimaryKeyConstraint("user_id", "organisation_id", name=op.f("pk_memberships")),
    )
    with op.batch_alter_table("memberships", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_memberships_organisation_id"), ["organisation_id"], unique=False)

    op.create_table(
        "jobs",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("key_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=True),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("template_id", sa.String(length=60), nullable=True),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("backend", sa.String(length=60), nullable=False),
        sa.Column("engine", sa.String(length=60), nullable=False),
        sa.Column("engine_version", sa.String(length=40), nullable=True),
        sa.Column("engine_reason", sa.String(length=255), nullable=False),
        sa.Column("qubits", sa.Integer(), nullable=False),
        sa.Column("shots", sa.Integer(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=True),
        sa.Column("probabilities", sa.JSON(), nullable=True),
        sa.Column("price_list", sa.String(length=20), nullable=False),
        sa.Column("estimated_microcredits", sa.BigInteger(), nullable=False),
        sa.Column("held_microcredits", sa.BigInteger(), nullable=False),
        sa.Column("charged_microcredits", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=True),
        sa.Column("completed_at", sa.DateTime(), nullable=True),
        sa.CheckConstraint("charged_microcredits <= held_microcredits", name=op.f("ck_jobs_charged_within_held")),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], name=op.f("fk_jobs_key_id_api_keys")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_jobs_organisation_id_organisations")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_jobs_key_id"), ["key_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_jobs_organisation_id_id"), ["organisation_id", "id"], unique=False)

    op.create_table(
        "transfers",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("debit_account", sa.String(length=10), nullable=False),
        sa.Column("credit_account", sa.String(length=10), nullable=False),
        sa.Column("microcredits", sa.BigInteger(), nullable=False),
        sa.Column("reference", sa.String(length=120), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.CheckConstraint(
            "credit_account IN ('grants', 'customer', 'revenue', 'expired')", name=op.f("ck_transfers_credit_account")
        ),
        sa.CheckConstraint(
            "debit_account IN ('grants', 'customer', 'revenue', 'expired')", name=op.f("ck_transfers_debit_account")
        ),
        sa.CheckConstraint("debit_account <> credit_account", name=op.f("ck_transfers_two_accounts")),
        sa.CheckConstraint("microcredits > 0", name=op.f("ck_transfers_positive")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["balances.organisation_id"], name=op.f("fk_transfers_organisation_id_balances")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transfers")),
        sa.UniqueConstraint("reference", name=op.f("uq_transfers_reference")),
    )
    with op.batch_alter_table("transfers", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_transfers_organisation_id_id"), ["organisation_id", "id"], unique=False)

    op.create_table(
        "usage",
        sa.Column("key_id", sa.String(length=40), nullable=False),
        sa.Column("hour", sa.DateTime(), nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.Column("microcredits", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("key_id", "hour", name=op.f("pk_usage")),
    )

    op.create_table(
        "void_references",
        sa.Column("reference", sa.String(length=120), nullable=False),
        sa.Column("voided_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("reference", name=op.f("pk_void_references")),
    )

    for statement in POSTGRESQL_TRIGGERS if op.get_bind().dialect.name == "postgresql" else SQLITE_TRIGGERS:
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    op.drop_table("void_references")
    op.drop_table("usage")
    with op.batch_alter_table("transfers", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_transfers_organisation_id_id"))

    op.drop_table("transfers")
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_jobs_organisation_id_id"))
        batch_op.drop_index(batch_op.f("ix_jobs_key_id"))

    op.drop_table("jobs")
    with op.batch_alter_table("memberships", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_memberships_organisation_id"))

    op.drop_table("memberships")
    op.drop_table("balances")
    with op.batch_alter_table("api_keys", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_api_keys_organisation_id"))

    op.drop_table("api_keys")
    op.drop_table("organisations")
    with op.batch_alter_table("login_sessions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_login_sessions_user_id"))

    op.drop_table("login_sessions")
    op.drop_table("users")
    with op.batch_alter_table("flush_batches", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_flush_batches_applied_at"))

    op.drop_table("flush_batches")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION apply_transfer")
        op.execute("DROP FUNCTION refuse_transfer_change")
