"""Places: a database, a Valkey and our application on both, filled with as many keys as a row asks for."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import flask_migrate
import sqlalchemy as sa
from flask import Flask

from bench.processes import valkey_process
from config import Settings, load_settings
from webapp import create_app
from webapp.accounts.models import Organisation, User
from webapp.core.db import db, transaction
from webapp.core.key_tokens import BASE62, KeyToken, checksum, parse_token
from webapp.core.redis import store
from webapp.keys.models import ApiKey, StoredToken
from webapp.keys.scopes import SCOPES
from webapp.ledger.models import Balance, Transfer
from webapp.metering.rebuild import rebuild
from worker.embedded_valkey import running_valkey

# As many as the product lets one account have.
KEYS_PER_ACCOUNT = 100
NOW = datetime(2026, 1, 1, tzinfo=UTC)
GRANTED_MICROCREDITS = 10**12


@dataclass(frozen=True)
class Place:
    """Everything that one size needs."""

    settings: Settings
    app: Flask
    raw_keys: list[str]
    valkey_pid: int

    @property
    def tokens(self) -> list[KeyToken]:
        """The keys, parsed."""
        return [token for raw in self.raw_keys if (token := parse_token(raw))]

    @contextmanager
    def used(self) -> Iterator[None]:
        """Point this process at the place: the store is one for all applications of a process."""
        store.connect(self.settings.redis_url)
        with self.app.app_context():
            yield
        store.close()


@contextmanager
def place(folder: Path, *, keys: int, **environ: str) -> Iterator[Place]:
    """Make a place with this many keys, and run its Valkey for as long as the block lasts."""
    folder.mkdir()
    with running_valkey(folder) as url:
        settings = load_settings(
            {"DATA_DIR": str(folder), "SECRET_KEY": "for the benchmark", "REDIS_URL": url, **environ}
        )
        app = create_app(settings)
        with app.app_context():
            flask_migrate.upgrade()
            raw_keys = fill(keys)
            rebuild()
        yield Place(settings, app, raw_keys, valkey_process(url))
        with app.app_context():
            db.engine.dispose()


def fill(keys: int) -> list[str]:
    """Insert a user, enough accounts for the keys, and the keys; give the raw keys. The same at every run."""
    accounts = -(-keys // KEYS_PER_ACCOUNT)
    raw_keys = [make_raw_key(number, shard_tag(number % accounts)) for number in range(keys)]
    rows: dict[type, list[dict[str, Any]]] = {
        User: [{"id": "user_0", "email": "ada@example.com", "password_hash": "", "created_at": NOW}],
        Organisation: [
            {"id": f"org_{number}", "name": "An account", "shard_tag": shard_tag(number), "created_at": NOW}
            for number in range(accounts)
        ],
        Balance: [{"organisation_id": f"org_{number}"} for number in range(accounts)],
        Transfer: [transfer(number) for number in range(accounts)],
        ApiKey: [api_key(number, f"org_{number % accounts}", raw) for number, raw in enumerate(raw_keys)],
    }
    rows[StoredToken] = [key_token(number, raw) for number, raw in enumerate(raw_keys)]
    with transaction() as session:
        for model, inserted in rows.items():
            session.execute(sa.insert(model), inserted)
    return raw_keys


def shard_tag(number: int) -> str:
    """Give the account's shard tag, its first character going round so that all groups are equally full."""
    size = len(BASE62)
    return "".join(BASE62[number // size**digit % size] for digit in range(6))


def make_raw_key(number: int, tag: str) -> str:
    """Make a well-formed token that is the same at every run."""
    body = f"upcube_sk_{hashlib.sha256(str(number).encode()).hexdigest()[:28]}{tag}"
    return body + checksum(body)


def api_key(number: int, organisation_id: str, raw: str) -> dict[str, Any]:
    """Give the row of a key with every scope."""
    token = parse_token(raw)
    if token is None:
        raise ValueError("the token does not parse")
    return {
        "id": f"key_{number}",
        "organisation_id": organisation_id,
        "created_by_id": "user_0",
        "name": "a key",
        "prefix": token.prefix,
        "scopes": " ".join(SCOPES),
        "created_at": NOW,
    }


def key_token(number: int, raw: str) -> dict[str, Any]:
    """Give the row of a key's token."""
    token = parse_token(raw)
    if token is None:
        raise ValueError("the token does not parse")
    return {"digest": token.digest, "key_id": f"key_{number}", "prefix": token.prefix, "created_at": NOW}


def transfer(number: int) -> dict[str, Any]:
    """Give the transfer that grants an account its credits."""
    return {
        "id": f"tr_{number}",
        "organisation_id": f"org_{number}",
        "debit_account": "grants",
        "credit_account": "customer",
        "microcredits": GRANTED_MICROCREDITS,
        "reference": f"grant:{number}",
        "reason": "Benchmark",
        "created_at": NOW,
    }


request_numbers = count()


def request_id() -> str:
    """Give an id that no other request of this run has."""
    return f"req_{next(request_numbers)}"
