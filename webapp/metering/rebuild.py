"""Redis rebuilt from SQL: every account's balance, and every key's record."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Row, select

from webapp.accounts.models import Organisation
from webapp.core import redis_names as names
from webapp.core.db import db, transaction
from webapp.core.redis_scripts import RedisScript
from webapp.keys.families import line_of
from webapp.keys.models import ApiKey, StoredToken
from webapp.metering.admission import token_record
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

    The rows stay locked meanwhile, with those of the keys that made them, so that no key can be revoked or change
    between reading SQL and writing Redis.
    """
    givers = dict(db.session.execute(select(ApiKey.id, ApiKey.created_by_key_id).order_by(ApiKey.id)).all())
    key_ids = list(givers)
    for start in range(0, len(key_ids), KEYS_PER_ROUND_TRIP):
        chunk = key_ids[start : start + KEYS_PER_ROUND_TRIP]
        with transaction() as session:
            lines = {giver_id for key_id in chunk for giver_id in line_of(key_id, givers)}
            locked = select(ApiKey.id).where(ApiKey.id.in_(lines)).order_by(ApiKey.id).with_for_update()
            session.execute(locked)
            tokens = select(StoredToken, Organisation).join(ApiKey, ApiKey.id == StoredToken.key_id).join(Organisation)
            write_records(session.execute(tokens.where(StoredToken.key_id.in_(chunk))).all())
    return len(key_ids)


def write_records(rows: Sequence[Row[StoredToken, Organisation]]) -> None:
    """Write these keys' records in one round trip. Raises StoreAwayError."""
    WRITE_KEY.run_many(
        (
            [names.key_record(organisation.shard_tag, token.digest)],
            [text for pair in token_record(token, organisation).items() for text in pair],
        )
        for token, organisation in rows
    )
