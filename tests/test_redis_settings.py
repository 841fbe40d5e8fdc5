"""Where Redis is, as settings: a refusal says what would be right."""

from pathlib import Path

import pytest

from config import ConfigurationError, load_settings, split_cluster_url

SERVER = "redis://127.0.0.1:6379/0"


def load(data_dir: Path, **environ: str) -> tuple[str, str]:
    """Give REDIS_URL and QUEUE_REDIS_URL as they are read."""
    settings = load_settings({"DATA_DIR": str(data_dir), **environ})
    return settings.redis_url, settings.queue_redis_url


def test_the_queues_are_where_everything_else_is_by_default(tmp_path: Path) -> None:
    embedded, queue = load(tmp_path)
    assert embedded == queue
    assert embedded.startswith("unix://")
    assert load(tmp_path, REDIS_URL=SERVER) == (SERVER, SERVER)
    assert load(tmp_path, REDIS_URL=SERVER, QUEUE_REDIS_URL="rediss://other") == (SERVER, "rediss://other")


@pytest.mark.parametrize(
    "url",
    [
        "redis+cluster://a:7000",
        "redis+cluster://a,b:7001,10.0.0.1:7002/",
        "rediss+cluster://user:pass%40word@[::1]:7000,[::2]:7000?ssl_ca_certs=/etc/ca.pem",
    ],
)
def test_a_cluster_is_named_by_some_of_its_nodes_and_needs_another_redis_for_the_queues(
    tmp_path: Path, url: str
) -> None:
    assert load(tmp_path, REDIS_URL=url, QUEUE_REDIS_URL=SERVER) == (url, SERVER)
    with pytest.raises(ConfigurationError, match="QUEUE_REDIS_URL must be set when REDIS_URL is a cluster"):
        load(tmp_path, REDIS_URL=url)


@pytest.mark.parametrize(
    "url",
    [
        "redis+cluster://",
        "redis+cluster://a:7000/0",
        "redis+cluster://a:7000,",
        "redis+cluster://a:port",
        "valkey+cluster://a:7000",
        "unix+cluster:///path",
    ],
)
def test_a_cluster_that_cannot_be_read_is_refused_with_what_would_be_right(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"redis\+cluster://user:password@host:port,host:port"):
        load(tmp_path, REDIS_URL=url, QUEUE_REDIS_URL=SERVER)


@pytest.mark.parametrize("url", ["localhost:6379", "http://localhost", "redis-cluster://a:7000"])
def test_another_scheme_is_refused_with_those_that_are_right(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"REDIS_URL must look like redis://host:6379/0"):
        load(tmp_path, REDIS_URL=url)
    with pytest.raises(ConfigurationError, match="QUEUE_REDIS_URL must name one server"):
        load(tmp_path, QUEUE_REDIS_URL=url)


def test_the_queues_cannot_be_on_a_cluster(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="RQ cannot use a cluster"):
        load(tmp_path, QUEUE_REDIS_URL="redis+cluster://a:7000")


def test_every_node_of_a_cluster_is_asked_as_the_same_user() -> None:
    assert split_cluster_url("rediss+cluster://ada:secret@a:7000,b:7001/?ssl_cert_reqs=none") == [
        "rediss://ada:secret@a:7000?ssl_cert_reqs=none",
        "rediss://ada:secret@b:7001?ssl_cert_reqs=none",
    ]


@pytest.mark.parametrize("name", ["REDIS_URL", "QUEUE_REDIS_URL"])
def test_what_is_no_number_of_a_database_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^{name} must end in the number of a database"):
        load(tmp_path, **{name: "redis://localhost:6379/nine"})
    assert load(tmp_path, REDIS_URL="redis://localhost/?protocol=2")[0] == "redis://localhost/?protocol=2"


@pytest.mark.parametrize(
    "password", ["hunter@2", "hunter/2@", "hunter#2", "hunter?2", "hunter%2", "[hunter2", "100%hunter2"]
)
@pytest.mark.parametrize(
    ("name", "scheme"), [("REDIS_URL", "redis"), ("QUEUE_REDIS_URL", "rediss"), ("DATABASE_URL", "postgresql")]
)
def test_a_password_that_takes_its_address_apart_is_refused_and_not_repeated(
    tmp_path: Path, name: str, scheme: str, password: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name} cannot be read; special characters") as refusal:
        load(tmp_path, SECRET_KEY="a key", **{name: f"{scheme}://upcube:{password}@db.example.com/0"})
    assert "hunter" not in str(refusal.value)


@pytest.mark.parametrize(
    "address",
    [
        "upcube:p%40ss%2Fw%25rd@[::1]:5432/upcube?sslmode=verify-full&sslrootcert=/etc/ca.pem",
        "upcube@a:5432,b:5432/upcube?target_session_attrs=read-write",
        "/upcube?host=/run/postgresql",
    ],
)
def test_a_database_is_named_as_postgresql_itself_takes_it(tmp_path: Path, address: str) -> None:
    settings = load_settings(
        {"DATA_DIR": str(tmp_path), "SECRET_KEY": "a key", "DATABASE_URL": f"postgresql://{address}"}
    )
    assert settings.database_url == f"postgresql+psycopg://{address}"
