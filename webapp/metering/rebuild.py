"""Redis rebuilt from SQL: every account's balance, and every key's record."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Row, select

from webapp.accounts.models import Organisation
from webapp.core import redis as names
from webapp.core.db import db, transaction
from webapp.core.redis import RedisScript
from webapp.keys.models import ApiKey
from webapp.metering.admission import key_record
from webapp.metering.reconcile import SCRIPTS, reconcile_account

WRITE_KEY = RedisScript(SCRIPTS / "write_key.lua", takes_epoch=True)

KEYS_PER_ROUND_TRIP = 1000


@dataclass(frozen=True)
class RebuildReport:
    """What one rebuild wrote."""

    accounts: int
    keys: int


def rebuild() -> RebuildReport:
    """Write every account and key to Redis as SQL has them; rate clocks, counters and holds stay.

    Raises StoreAwayError.
    """
    shard_tags = db.session.scalars(select(Organisation.shard_tag)).all()
    for shard_tag in shard_tags:
        reconcile_account(shard_tag=shard_tag)
    return RebuildReport(accounts=len(shard_tags), keys=write_key_records())


def write_key_records() -> int:
    """Write every key's record over what Redis has.

    The rows stay locked meanwhile, so that no key can be revoked between reading SQL and writing Redis.
    """
    key_ids = db.session.scalars(select(ApiKey.id).order_by(ApiKey.id)).all()
    for start in range(0, len(key_ids), KEYS_PER_ROUND_TRIP):
        chunk = key_ids[start : start + KEYS_PER_ROUND_TRIP]
        statement = select(ApiKey, Organisation).join(Organisation).where(ApiKey.id.in_(chunk)).order_by(ApiKey.id)
        with transaction() as session:
            write_records(session.execute(statement.with_for_update(of=ApiKey)).all())
    return len(key_ids)


def write_records(rows: Sequence[Row[ApiKey, Organisation]]) -> None:
    """Write these keys' records in one round trip. Raises StoreAwayError."""
    WRITE_KEY.run_many(
        (
            [names.key_record(organisation.shard_tag, key.digest)],
            [text for pair in key_record(key, organisation).items() for text in pair],
        )
        for key, organisation in rows
    )
