"""Key tokens: what is made parses, and nothing else does."""

import hashlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from webapp.core.key_tokens import BASE62, TOKEN, TOKEN_LENGTH, checksum, new_shard_tag, new_token, parse_token

tokens = st.text(BASE62, min_size=6, max_size=6).map(new_token)


@given(st.text(BASE62, min_size=6, max_size=6))
def test_a_new_token_parses_into_its_parts(shard_tag: str) -> None:
    raw = new_token(shard_tag)
    token = parse_token(raw)
    assert token is not None
    assert (token.prefix, token.shard_tag) == (raw[:16], shard_tag)
    assert token.digest == hashlib.sha256(raw.encode()).hexdigest()
    assert raw.startswith("upcube_sk_")
    assert len(raw) == TOKEN_LENGTH == 50


@given(tokens, st.integers(0, TOKEN_LENGTH - 1), st.characters())
def test_a_token_with_one_character_changed_is_refused(raw: str, index: int, character: str) -> None:
    changed = raw[:index] + character + raw[index + 1 :]
    assert (parse_token(changed) is None) == (changed != raw)


@given(tokens, st.sampled_from(BASE62))
def test_no_single_change_anywhere_slips_through(raw: str, character: str) -> None:
    for index in range(TOKEN_LENGTH):
        changed = raw[:index] + character + raw[index + 1 :]
        assert changed == raw or parse_token(changed) is None


@given(tokens, st.integers(0, TOKEN_LENGTH - 2))
def test_a_token_with_two_neighbours_swapped_is_refused(raw: str, index: int) -> None:
    swapped = raw[:index] + raw[index + 1] + raw[index] + raw[index + 2 :]
    assert swapped == raw or parse_token(swapped) is None


@given(tokens, st.integers(0, TOKEN_LENGTH), st.characters())
def test_a_token_with_a_character_more_or_less_is_refused(raw: str, index: int, character: str) -> None:
    assert parse_token(raw[:index] + character + raw[index:]) is None
    assert parse_token(raw[:index] + raw[index + 1 :]) is None or index == TOKEN_LENGTH


@given(st.text())
@example("upcube_sk_" + "é" * 40)
@example("upcube_sk_" + "\ud800" * 40)
@example("upcube_sk_" + "٣" * 40)
def test_text_that_we_did_not_make_is_no_token(text: str) -> None:
    assert parse_token(text) is None


@pytest.mark.parametrize("body", ["-" * 34, " " * 34, "\0" * 34, "_" * 34, "a" * 33 + "/"])
def test_a_right_checksum_does_not_make_up_for_wrong_characters(body: str) -> None:
    start = "upcube_sk_" + body
    assert parse_token(start + checksum(start)) is None


def test_tokens_and_tags_do_not_repeat() -> None:
    tag = new_shard_tag()
    assert len({new_token(tag) for _ in range(1_000)}) == 1_000
    assert len({new_token(tag)[:16] for _ in range(1_000)}) > 990
    assert set(tag) <= set(BASE62)


def test_a_token_matches_the_pattern_that_scanners_are_given() -> None:
    raw = new_token("AAAAAA")
    assert TOKEN.findall(f"key={raw}&x") == [raw]
