"""How the stores are, as an operator is told."""

import pytest
from flask import Flask

from tests.stores import REDIS_URL
from webapp.core.health import list_redis_risks
from webapp.core.redis import store


@pytest.mark.skipif(bool(REDIS_URL), reason="the operator's Redis keeps its settings")
@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [("maxmemory-policy", "allkeys-lru", "maxmemory-policy is allkeys-lru"), ("appendonly", "no", "appendonly is off")],
)
def test_a_redis_that_would_lose_something_is_told_of(app: Flask, setting: str, value: str, words: str) -> None:
    with app.app_context():
        assert list_redis_risks() == []
        before = str(store.client.config_get(setting)[setting])
        store.client.config_set(setting, value)
        try:
            [risk] = list_redis_risks()
        finally:
            store.client.config_set(setting, before)
        assert words in risk
