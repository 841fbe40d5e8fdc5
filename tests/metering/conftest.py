"""The tests of metering run on one Redis server, and on a cluster as well."""

from collections.abc import Iterator

import pytest

from tests.clusters import ValkeyCluster


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the cluster out where it is met with the second kind of database: neither knows of the other."""
    items[:] = [item for item in items if not is_second_database_on_cluster(item)]


def is_second_database_on_cluster(item: pytest.Item) -> bool:
    """Tell whether a test is one of those left out."""
    parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    return (parameters.get("redis_url"), parameters.get("database_url")) == ("cluster", "postgresql")


@pytest.fixture(params=["server", "cluster"])
def redis_url(request: pytest.FixtureRequest, redis_url: str) -> Iterator[str]:
    """The address of a Redis that this test finds empty."""
    if request.param == "server":
        yield redis_url
        return
    cluster: ValkeyCluster = request.getfixturevalue("cluster")
    yield cluster.url
    for node in cluster.nodes:
        node.client.flushdb()
