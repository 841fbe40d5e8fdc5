"""The wire to Redis: an answer is the answer to what was asked."""

from redis import Redis

from webapp.core.redis import Store


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
