"""The wire to Redis: an answer is the answer to what was asked."""

import hashlib
import time
from collections.abc import Iterator

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from tests.live import wait_until
from webapp.core.redis import Store, read_epoch


def test_what_the_server_says_unasked_is_no_answer(redis_url: str) -> None:
    store = Store()
    store.connect(f"{redis_url}{'&' if '?' in redis_url else '?'}protocol=3")
    with Redis.from_url(redis_url) as other:
        store.call("CLIENT", "TRACKING", "ON", "BCAST", key="count")
        for count in range(1, 4):
            # Tells whoever tracks keys, before they ask again.
            other.set("count", count)
            assert store.call("GET", "count", key="count") == b"%d" % count
            assert store.call("PING", key="count") == b"PONG"
    store.close()


# Gives what it is asked to, or fails.
ECHO = b"""
if ARGV[1] == 'fail' then return redis.error_reply('ERR as it was told') end
redis.call('SET', KEYS[1], ARGV[1])
return ARGV[1]
"""
DIGEST = hashlib.sha1(ECHO, usedforsecurity=False).hexdigest()


class TestUnread:
    """Answers that are read later than those to other commands, or by nobody."""

    @pytest.fixture
    def store(self, redis_url: str) -> Iterator[Store]:
        store = Store()
        store.connect(redis_url)
        yield store
        store.close()

    def tell(self, store: Store, word: str) -> None:
        store.tell(ECHO, DIGEST, 1, "word", word, key="word")

    def get_connection(self, store: Store) -> object:
        """Give what the server calls this thread's connection."""
        return store.call("CLIENT", "ID", key="word")

    def test_answers_are_told_apart_in_whatever_order_they_are_read(self, store: Store) -> None:
        first, second, third = (store.send("ECHO", word, key="word") for word in ("one", "two", "three"))
        assert store.read(second) == b"two"
        assert store.call("ECHO", "four", key="word") == b"four"
        assert [store.read(third), store.read(first), store.read(first)] == [b"three", b"one", b"one"]

    def test_an_error_is_raised_where_it_belongs_and_does_no_harm_to_others(self, store: Store) -> None:
        wrong, right = store.send("GET", key="word"), store.send("ECHO", "right", key="word")
        assert store.read(right) == b"right"
        connection = self.get_connection(store)
        for _ in range(2):
            with pytest.raises(ResponseError, match="wrong number of arguments"):
                store.read(wrong)
        assert self.get_connection(store) == connection

    def test_what_is_told_is_done_before_what_is_asked_later(self, store: Store) -> None:
        for number in range(5):
            self.tell(store, str(number))
            assert store.call("GET", "word", key="word") == b"%d" % number

    @pytest.fixture
    def looked_at(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As if a connection was never used just now: then it is looked at for the server's goodbye."""
        monkeypatch.setattr("webapp.core.redis_wire.FRESH_SECONDS", 0)

    @pytest.mark.usefixtures("looked_at")
    def test_a_connection_is_kept_whose_last_answer_nobody_has_read(self, store: Store) -> None:
        connection = self.get_connection(store)
        for word in ("one", "two"):
            self.tell(store, word)
            wait_until(lambda: has_something_to_read(store))
            assert store.call("GET", "word", key="word") == word.encode()
        assert self.get_connection(store) == connection

    @pytest.mark.usefixtures("looked_at")
    def test_a_goodbye_is_noticed_before_the_next_command(self, store: Store, redis_url: str) -> None:
        connection = self.get_connection(store)
        with Redis.from_url(redis_url) as other:
            other.client_kill_filter(_id=connection)
        wait_until(lambda: has_something_to_read(store))
        assert store.call("ECHO", "right", key="word") == b"right"

    @pytest.mark.usefixtures("looked_at")
    def test_a_failure_is_noticed_before_the_next_command(self, store: Store) -> None:
        connection = self.get_connection(store)
        self.tell(store, "fail")
        wait_until(lambda: has_something_to_read(store))
        assert self.get_connection(store) != connection

    def test_a_connection_is_not_shared_with_a_process_that_was_forked(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connection = self.get_connection(store)
        monkeypatch.setattr("os.getpid", lambda: -1)
        assert self.get_connection(store) != connection

    def test_a_connection_on_which_something_failed_unheard_is_made_anew(
        self, store: Store, caplog: pytest.LogCaptureFixture
    ) -> None:
        connection = self.get_connection(store)
        self.tell(store, "fail")
        assert store.call("ECHO", "right", key="word") == b"right"
        assert "as it was told" in caplog.text
        assert self.get_connection(store) != connection

    def test_a_server_that_hangs_up_is_found_again_and_what_was_not_read_is_never_told(
        self, store: Store, redis_url: str
    ) -> None:
        connection = self.get_connection(store)
        lost = store.send("ECHO", "lost", key="word")
        with Redis.from_url(redis_url) as other:
            other.client_kill_filter(_id=connection)
        wait_until(lambda: has_something_to_read(store))
        store.disconnect()
        with pytest.raises(RedisConnectionError):
            store.read(lost)
        wait_until(lambda: store.servers.find("word").away_until < time.monotonic())
        assert self.get_connection(store) != connection
        self.tell(store, "two")
        assert store.call("GET", "word", key="word") == b"two"

    def test_a_told_script_is_given_the_epoch(self, store: Store, redis_url: str) -> None:
        text = b"return redis.call('SET', KEYS[1], ARGV[2])"
        store.tell(text, hashlib.sha1(text, usedforsecurity=False).hexdigest(), 1, "word", "x", key="word")
        with Redis.from_url(redis_url) as other:
            assert store.call("GET", "word", key="word") == read_epoch(other).encode()


def has_something_to_read(store: Store) -> bool:
    [connection] = store._threads.connections.values()  # noqa: SLF001 - when an answer comes is not ours to say
    return connection.wire._has_something_to_read()  # noqa: SLF001
