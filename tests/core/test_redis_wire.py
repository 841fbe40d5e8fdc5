"""The wire to Redis: an answer is the answer to what was asked."""

import hashlib
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from tests.live import wait_until
from tests.stores import list_idle_connections
from webapp.core.redis import Store
from webapp.core.redis_connections import read_epoch
from webapp.core.redis_servers import TIMEOUT_SECONDS
from webapp.core.redis_wire import Wire


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


def test_what_the_server_says_unasked_to_an_idle_connection_is_no_answer(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.core.redis_wire.FRESH_SECONDS", 0)
    store = Store()
    store.connect(f"{redis_url}{'&' if '?' in redis_url else '?'}protocol=3")
    with Redis.from_url(redis_url) as other:
        connection = store.call("CLIENT", "ID", key="count")
        store.call("CLIENT", "TRACKING", "ON", "BCAST", key="count")
        other.set("count", 1)
        wait_until(lambda: has_something_to_read(store))
        assert store.call("ECHO", "right", key="count") == b"right"
        assert store.call("CLIENT", "ID", key="count") != connection
    store.close()


# Gives what it is asked to, or fails.
ECHO = b"""
if ARGV[1] == 'fail' then return redis.error_reply('ERR as it was told') end
redis.call('SET', KEYS[1], ARGV[1])
return ARGV[1]
"""
DIGEST = hashlib.sha1(ECHO, usedforsecurity=False).hexdigest()


class TestConnections:
    """Connections that threads take turns on, and answers that are read later, or by nobody."""

    @pytest.fixture
    def store(self, redis_url: str) -> Iterator[Store]:
        store = Store()
        store.connect(redis_url)
        yield store
        store.close()

    def tell(self, store: Store, word: str) -> None:
        store.tell(ECHO, DIGEST, 1, "word", word, key="word")

    def get_connection(self, store: Store) -> object:
        """Give what the server calls the connection that is next."""
        return store.call("CLIENT", "ID", key="word")

    def test_commands_on_their_way_have_a_connection_each(self, store: Store) -> None:
        first, second, third = (store.send("ECHO", word, key="word") for word in ("one", "two", "three"))
        assert store.read(second) == b"two"
        assert store.call("ECHO", "four", key="word") == b"four"
        assert [store.read(third), store.read(first)] == [b"three", b"one"]
        assert len(list_idle_connections(store)) == 3

    def test_an_answer_is_read_once(self, store: Store) -> None:
        question = store.send("ECHO", "one", key="word")
        assert store.read(question) == b"one"
        with pytest.raises(RuntimeError, match="read before"):
            store.read(question)
        assert len(list_idle_connections(store)) == 1

    def test_the_connection_that_was_used_last_is_used_next(self, store: Store) -> None:
        questions = [store.send("CLIENT", "ID", key="word") for _ in range(3)]
        connections = [store.read(question) for question in questions]
        assert len(set(connections)) == 3
        assert [self.get_connection(store) for _ in range(3)] == [connections[-1]] * 3

    def test_threads_take_turns_on_connections_and_get_their_own_answers(self, store: Store) -> None:
        def ask(thread: int) -> None:
            for number in range(200):
                word = f"{thread}.{number}"
                self.tell(store, word)
                assert store.call("ECHO", word, key="word") == word.encode()

        with ThreadPoolExecutor(max_workers=8) as threads:
            list(threads.map(ask, range(8)))
        assert 1 <= len(list_idle_connections(store)) <= 8

    def test_an_error_does_its_connection_no_harm(self, store: Store) -> None:
        connection = self.get_connection(store)
        with pytest.raises(ResponseError, match="wrong number of arguments"):
            store.read(store.send("GET", key="word"))
        assert self.get_connection(store) == connection

    def test_what_is_told_is_done_before_what_is_asked_later(self, store: Store) -> None:
        for number in range(5):
            self.tell(store, str(number))
            assert store.call("GET", "word", key="word") == b"%d" % number

    def test_what_was_told_to_a_server_that_forgot_the_script_is_told_again(self, store: Store) -> None:
        self.tell(store, "one")
        connection = self.get_connection(store)
        store.client.script_flush()
        self.tell(store, "two")
        self.tell(store, "three")
        # It is told again once the refusal was read, which comes before this answer.
        assert store.call("GET", "word", key="word") == b"one"
        assert store.call("GET", "word", key="word") in {b"two", b"three"}
        assert self.get_connection(store) == connection

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
    def test_a_refusal_that_comes_to_an_idle_connection_has_it_told_again_before_the_next_command(
        self, store: Store
    ) -> None:
        self.tell(store, "one")
        connection = self.get_connection(store)
        store.client.script_flush()
        self.tell(store, "two")
        wait_until(lambda: has_something_to_read(store))
        assert store.call("GET", "word", key="word") == b"two"
        assert self.get_connection(store) == connection

    def test_a_server_that_nobody_can_connect_to_is_left_alone_for_a_moment(self) -> None:
        store = Store()
        store.connect("unix:///nowhere/valkey.sock")
        with pytest.raises(RedisConnectionError):
            store.call("ECHO", "right", key="word")
        # Each request would wait for as long as a connection may take.
        with pytest.raises(RedisConnectionError, match="a moment ago"):
            store.call("ECHO", "right", key="word")

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

    def test_a_connection_on_which_something_failed_unheard_is_made_anew(
        self, store: Store, caplog: pytest.LogCaptureFixture
    ) -> None:
        connection = self.get_connection(store)
        self.tell(store, "fail")
        assert store.call("ECHO", "right", key="word") == b"right"
        assert "as it was told" in caplog.text
        assert self.get_connection(store) != connection

    def test_a_connection_that_the_server_hung_up_on_is_replaced(self, store: Store, redis_url: str) -> None:
        connection = self.get_connection(store)
        self.tell(store, "one")
        with Redis.from_url(redis_url) as other:
            other.client_kill_filter(_id=connection)
        with pytest.raises(RedisConnectionError):
            store.call("GET", "word", key="word")
        # At once: that a connection was cut does not say that the server is away.
        self.tell(store, "two")
        assert store.call("GET", "word", key="word") == b"two"
        assert self.get_connection(store) != connection

    def test_an_answer_that_was_not_waited_for_is_nobodys(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        question = store.send("ECHO", "wrong", key="word")
        with monkeypatch.context() as patch:
            patch.setattr(Wire, "read", stop)
            with pytest.raises(KeyboardInterrupt):
                store.read(question)
        assert store.call("ECHO", "right", key="word") == b"right"

    def test_a_failure_has_all_connections_made_anew(self, store: Store, redis_url: str) -> None:
        first, second = (store.send("CLIENT", "ID", key="word") for _ in range(2))
        connections = {store.read(first), store.read(second)}
        with Redis.from_url(redis_url) as other:
            other.client_kill_filter(_id=self.get_connection(store))
        with pytest.raises(RedisConnectionError):
            self.get_connection(store)
        assert self.get_connection(store) not in connections

    def test_a_goodbye_in_place_of_an_answer_is_an_error(self, store: Store, redis_url: str) -> None:
        connection = self.get_connection(store)
        question = store.send("BLPOP", "nothing", 0, key="word")
        with Redis.from_url(redis_url) as other:
            other.client_kill_filter(_id=connection)
        with pytest.raises(RedisConnectionError, match="hung up"):
            store.read(question)

    def test_a_server_that_does_not_answer_in_time_is_left_alone_for_a_moment(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("webapp.core.redis_connections.TIMEOUT_SECONDS", 0.05)
        with pytest.raises(RedisTimeoutError):
            store.call("BLPOP", "nothing", 0, key="word")
        with pytest.raises(RedisConnectionError, match="a moment ago"):
            self.tell(store, "two")
        wait_until(lambda: store.servers.find("word").away_until < time.monotonic())
        # The answer that came too late is nobody's.
        assert store.call("ECHO", "right", key="word") == b"right"

    def test_the_kernel_keeps_the_time_outs(self, store: Store) -> None:
        store.call("PING", key="word")
        [connection] = list_idle_connections(store)
        plain = connection.wire._socket  # noqa: SLF001 - only the kernel knows
        assert plain.gettimeout() is None
        for direction in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            kept = plain.getsockopt(socket.SOL_SOCKET, direction, struct.calcsize("ll"))
            assert struct.unpack("ll", kept) == (int(TIMEOUT_SECONDS), TIMEOUT_SECONDS % 1 * 1_000_000)

    def test_a_connection_that_is_being_closed_is_nobodys(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        for question in [store.send("PING", key="word") for _ in range(2)]:
            store.read(question)
        is_closing, may_close = threading.Event(), threading.Event()
        close, asker = Wire.close, threading.get_ident()

        def close_slowly(wire: Wire) -> None:
            if threading.get_ident() != asker:
                is_closing.set()
                may_close.wait(timeout=10)
            close(wire)

        with ThreadPoolExecutor(max_workers=1) as thread, monkeypatch.context() as patch:

            def fail_meanwhile(_: Wire) -> bool:
                """As if the server had hung up, while another thread gives all the connections up."""
                patch.undo()
                patch.setattr(Wire, "close", close_slowly)
                thread.submit(store.disconnect)
                assert is_closing.wait(timeout=10)
                return False

            patch.setattr(Wire, "is_usable", fail_meanwhile)
            question = store.send("ECHO", "right", key="word")
            may_close.set()
            thread.shutdown()
        assert store.read(question) == b"right"

    def test_a_child_makes_connections_of_its_own(self, store: Store) -> None:
        connection = self.get_connection(store)
        self.tell(store, "one")
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.write(writing, b"%d" % store.call("CLIENT", "ID", key="word"))
            os._exit(0)
        os.waitpid(child, 0)
        assert int(os.read(reading, 100)) != connection
        assert store.call("GET", "word", key="word") == b"one"
        assert self.get_connection(store) == connection

    def test_a_told_script_is_given_the_epoch(self, store: Store, redis_url: str) -> None:
        text = b"return redis.call('SET', KEYS[1], ARGV[2])"
        store.tell(text, hashlib.sha1(text, usedforsecurity=False).hexdigest(), 1, "word", "x", key="word")
        with Redis.from_url(redis_url) as other:
            assert store.call("GET", "word", key="word") == read_epoch(other).encode()


def stop(_: Wire) -> None:
    """Stop as whoever gets a signal."""
    raise KeyboardInterrupt


def has_something_to_read(store: Store) -> bool:
    [connection] = list_idle_connections(store)
    return connection.wire._has_something_to_read()  # noqa: SLF001 - when an answer comes is not ours to say
