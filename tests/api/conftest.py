"""One application for many refusals: a test that is refused leaves nothing behind, which is itself tested."""

from collections.abc import Iterator

import pytest

from tests import stores
from tests.api.helpers import Service, assert_nothing_happened
from tests.factories import make_account, make_key
from tests.stores import PostgresqlStore, SqliteStore, make_settings
from webapp import create_app
from webapp.core.db import db
from webapp.core.redis import store


@pytest.fixture(scope="session", params=stores.DATABASES)
def shared_service(
    request: pytest.FixtureRequest,
    databases: dict[str, SqliteStore | PostgresqlStore],
    valkey_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    """An application whose one account runs nothing, in all of the tests that ask for it."""
    folder = tmp_path_factory.mktemp("shared")
    with databases[request.param].fresh(folder) as url:
        limits = {"KEY_RATE_LIMITS": "1000000/60", "ACCOUNT_RATE_LIMITS": "1000000/60"}
        app = create_app(make_settings(folder, DATABASE_URL=url, REDIS_URL=valkey_url, **limits))
        with app.app_context():
            account = make_account()
            key = make_key(account)
        yield Service(app, app.test_client(), account, key)
        store.connect(valkey_url)
        with app.app_context():
            assert_nothing_happened(account)
        with app.app_context():
            db.engine.dispose()
        store.client.close()


@pytest.fixture
def refusing(shared_service: Service, redis_url: str) -> Service:
    """The shared application, for tests that nothing comes of; its store is one for the whole process."""
    store.connect(redis_url)
    return shared_service
