"""No malformed token reaches a store: the checksum refuses it first, whatever the header holds."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import example, given, settings
from hypothesis import strategies as st
from redis import Redis

from tests.api.helpers import Service, read_error
from tests.factories import API
from webapp.core.db import db
from webapp.core.key_tokens import BASE62, SCHEME, TOKEN_LENGTH, new_token
from webapp.core.redis import store

# The service is shared, and none of what it is asked changes it.
FUZZ = settings(max_examples=150)

BEARERS = st.sampled_from([b"Bearer ", b"bearer ", b"BEARER   ", b"Bearer", b"Basic ", b"Token ", b""])
# What a WSGI server lets through to us: any byte but the ends of lines.
HEADER_BYTES = st.binary(max_size=120).map(lambda text: text.translate(None, b"\r\n"))
NEAR = st.text(BASE62 + "_-. \t\0é", max_size=60).map(lambda text: (SCHEME + text).encode())


class Count:
    """How many commands the stores were sent."""

    def __init__(self) -> None:
        self.statements = 0

    def add(self, *_: Any) -> None:  # noqa: ANN401 - whatever SQLAlchemy tells its listeners
        """Count a statement."""
        self.statements += 1


@contextmanager
def nothing_asked(service: Service) -> Iterator[None]:
    """Assert that neither Redis nor SQL is asked for anything meanwhile."""
    count = Count()
    with service.app.app_context():
        engine = db.engine
    sa.event.listen(engine, "before_cursor_execute", count.add)
    before = count_commands()
    try:
        yield
    finally:
        sa.event.remove(engine, "before_cursor_execute", count.add)
    assert (count.statements, count_commands() - before) == (0, 0)


def count_commands() -> int:
    """Give how many commands Redis has run, but for those that ask this."""
    assert isinstance(store.client, Redis)
    found = store.client.info("commandstats")
    return sum(command["calls"] for name, command in found.items() if name != "cmdstat_info")


def send(service: Service, header: bytes) -> None:
    """Call with this header, which must be refused before any store is asked."""
    with nothing_asked(service):
        answer = service.client.get(f"{API}/me", environ_overrides={"HTTP_AUTHORIZATION": header.decode("latin-1")})
    read_error(answer, 401, "invalid_api_key")
    # Shorter ones may stand in any text.
    assert len(header) < 24 or header.decode("latin-1") not in answer.text


@FUZZ
@given(scheme=BEARERS, token=HEADER_BYTES | NEAR | st.text(max_size=60).map(lambda text: text.encode(errors="replace")))
@example(scheme=b"Bearer ", token=b"")
@example(scheme=b"Bearer ", token=SCHEME.encode() + b"\xff" * 40)
@example(scheme=b"Bearer ", token=SCHEME.encode() + "٣".encode() * 20)
@example(scheme=b"Bearer ", token=b"x" * 100_000)
def test_whatever_the_header_holds_no_store_is_asked(refusing: Service, scheme: bytes, token: bytes) -> None:
    send(refusing, scheme + token.replace(b"\n", b"").replace(b"\r", b""))


@FUZZ
@given(index=st.integers(0, TOKEN_LENGTH - 1), character=st.sampled_from(BASE62 + "_-~é "))
def test_a_key_with_one_character_changed_is_refused_unasked(refusing: Service, index: int, character: str) -> None:
    raw = refusing.key.raw
    changed = raw[:index] + character + raw[index + 1 :]
    if changed != raw:
        send(refusing, b"Bearer " + changed.encode("latin-1"))


@FUZZ
@given(cut=st.integers(1, TOKEN_LENGTH), more=st.text(BASE62, min_size=1, max_size=8))
def test_a_key_cut_short_or_with_more_behind_it_is_refused_unasked(refusing: Service, cut: int, more: str) -> None:
    raw = refusing.key.raw
    for near in (raw[:-cut], raw[cut:], raw + more, more + raw, raw + raw):
        send(refusing, b"Bearer " + near.encode())


@pytest.mark.parametrize("change", [str.upper, str.lower, str.swapcase, str.title])
def test_a_key_in_another_case_is_refused_unasked(refusing: Service, change: Any) -> None:  # noqa: ANN401 - one of str's methods
    # Digits alone have no case: drawn until it matters.
    raw = next(raw for raw in iter(lambda: new_token("AbCdEf"), "") if change(raw) != raw)
    send(refusing, b"Bearer " + change(raw).encode())


def test_the_count_sees_what_a_good_key_costs(refusing: Service) -> None:
    with pytest.raises(AssertionError), nothing_asked(refusing):
        refusing.client.get(f"{API}/me", headers=refusing.key.headers)
    with pytest.raises(AssertionError), nothing_asked(refusing):
        refusing.client.get(f"{API}/me", headers={"Authorization": f"Bearer {new_token('zzzzzz')}"})
