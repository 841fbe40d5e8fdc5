"""Fixtures that every test may ask for."""

import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from redis import Redis

from config import Settings
from tests import stores
from tests.clusters import ValkeyCluster, running_cluster
from tests.compiled import keep_compiled
from tests.factories import Account, Key, make_account, make_key
from tests.stores import PostgresqlStore, SqliteStore, make_settings
from webapp import create_app
from webapp.accounts import passwords
from webapp.core.db import db
from webapp.core.redis import store

# What the edges do differs little between databases: their tests run on one, but for those that send odd input.
EDGES = ("api", "dashboard", "admin")
ON_BOTH_DATABASES = ("test_errors.py", "test_usage.py", "test_audit.py", "test_keys.py", "test_playground.py")


# How long an example takes says how busy the machine is. What an example leaves behind, its test allows for.
hypothesis_settings.register_profile(
    "suite", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
hypothesis_settings.load_profile("suite")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the edges' tests on the second database, unless the operator names the database."""
    left_out = [item for item in items if is_second_run(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Give `-n auto` a worker more than there are cores: some always wait, for a process, a browser or a time-out."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Leave what has been imported and collected out of garbage collection, which took a fifth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)


def is_second_run(item: pytest.Item) -> bool:
    """Tell whether this is an edge's test, on another database than the first."""
    is_of_edge = item.path.parent.name in EDGES and item.path.name not in ON_BOTH_DATABASES
    return is_of_edge and any(f"[{name}" in item.name for name in stores.DATABASES[1:])


@pytest.fixture(scope="session", autouse=True)
def production_hasher() -> Iterator[PasswordHasher]:
    """Hash passwords cheaply in tests, which make hundreds of accounts; give the hasher that users get."""
    with pytest.MonkeyPatch.context() as patch:
        hasher = passwords.hasher
        patch.setattr(passwords, "hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        passwords.nobody_hash.cache_clear()
        yield hasher


@pytest.fixture(scope="session", autouse=True)
def compiled() -> Iterator[None]:
    """Make applications quickly, of which each test has its own."""
    with pytest.MonkeyPatch.context() as patch:
        keep_compiled(patch)
        yield


@pytest.fixture(scope="session")
def short_folder() -> Iterator[Path]:
    """A folder for the whole run whose path is short enough for a socket."""
    path = Path(tempfile.mkdtemp(prefix="upcube-"))
    # PostgreSQL runs as another user when the tests run as root.
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def valkey_url(short_folder: Path) -> Iterator[str]:
    """A real Valkey or Redis that holds nothing."""
    with stores.valkey(short_folder) as url:
        yield url


@pytest.fixture
def redis_url(valkey_url: str) -> Iterator[str]:
    """The address of a Redis that this test finds empty."""
    yield valkey_url
    with Redis.from_url(valkey_url) as client:
        client.flushdb()


@pytest.fixture(scope="session")
def cluster(short_folder: Path) -> Iterator[ValkeyCluster]:
    """A real cluster that holds nothing."""
    with running_cluster(short_folder / "cluster") as cluster:
        yield cluster


@pytest.fixture(scope="session")
def databases(short_folder: Path) -> Iterator[dict[str, SqliteStore | PostgresqlStore]]:
    """The migrated databases that tests are given copies of, made when first asked for."""
    with ExitStack() as stack:

        class Databases(dict[str, SqliteStore | PostgresqlStore]):
            def __missing__(self, kind: str) -> SqliteStore | PostgresqlStore:
                if kind == "sqlite" or stores.DATABASE_URL.startswith("sqlite"):
                    self[kind] = SqliteStore(short_folder)
                else:
                    self[kind] = stack.enter_context(stores.postgresql(short_folder))
                return self[kind]

        yield Databases()


@pytest.fixture(params=stores.DATABASES)
def database_url(
    request: pytest.FixtureRequest, databases: dict[str, SqliteStore | PostgresqlStore], tmp_path: Path
) -> Iterator[str]:
    """An empty, migrated database: the test runs once on each kind."""
    with databases[request.param].fresh(tmp_path) as url:
        yield url


@pytest.fixture
def environ() -> dict[str, str]:
    """Settings that differ from the defaults; a test overrides this fixture with its own."""
    return {}


@pytest.fixture
def settings(tmp_path: Path, database_url: str, redis_url: str, valkey_url: str, environ: dict[str, str]) -> Settings:
    """Settings on this test's stores."""
    stores = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "QUEUE_REDIS_URL": valkey_url}
    return make_settings(tmp_path, **stores, **environ)


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """The application on this test's stores."""
    app = create_app(settings)
    app.config["WTF_CSRF_ENABLED"] = False
    yield app
    store.close()
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def context(app: Flask) -> Iterator[None]:
    """An application context, for tests that call operations and queries themselves."""
    with app.app_context():
        yield


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A client of the application."""
    return app.test_client()


@pytest.fixture
def account(app: Flask) -> Account:
    """An account; a test that counts its credits overrides this one."""
    with app.app_context():
        return make_account()


@pytest.fixture
def key(app: Flask, account: Account) -> Key:
    """A key of the account."""
    with app.app_context():
        return make_key(account)
