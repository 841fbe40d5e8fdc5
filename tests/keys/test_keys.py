"""Keys as the operations make and revoke them."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask

from tests.factories import Account, digest_of, make_account, make_key, now
from webapp.accounts.audit import OPERATOR
from webapp.core import redis_names as names
from webapp.core.errors import InvalidFieldsError, NotFoundError, StoreAwayError
from webapp.core.key_tokens import parse_token
from webapp.core.redis import store
from webapp.keys import operations
from webapp.keys.operations import TooManyKeysError, create_key, revoke_key
from webapp.keys.queries import get_token_by_digest, list_keys
from webapp.keys.scopes import SCOPES, sort_scopes
from webapp.keys.settings import KeySettings, check_settings


def paths_of_problems(name: str, *scopes: str) -> list[str]:
    try:
        check_settings(KeySettings(name=name, scopes=scopes), at=now())
    except InvalidFieldsError as error:
        return [detail.path for detail in error.details]
    return []


@pytest.mark.parametrize("name", ["", "x" * 81, "a\0b", "a\nb", "a\u2028b", "\x7f", "\ud800", "\x85"])
def test_a_name_is_one_short_line(name: str) -> None:
    assert paths_of_problems(name, "jobs:read") == ["name"]


def test_everything_wrong_is_named_at_once() -> None:
    assert paths_of_problems("", "jobs:read", "jobs:*", "JOBS:READ", "") == ["name", "scopes", "scopes", "scopes"]
    assert paths_of_problems("x" * 81) == ["name", "scopes"]


def test_scopes_are_kept_once_and_in_order() -> None:
    assert sort_scopes(["keys:write", "jobs:read", "jobs:read", "nothing"]) == ["jobs:read", "keys:write"]


@pytest.mark.usefixtures("context")
class TestCreation:
    """What is kept of a new key."""

    def test_the_raw_token_is_kept_nowhere(self) -> None:
        account = make_account()
        key = make_key(account, name=" a key ")
        token = parse_token(key.raw)
        assert token is not None
        assert token.shard_tag == account.shard_tag
        stored = get_token_by_digest(token.digest)
        assert stored is not None
        row = stored.key
        assert (row.name, row.prefix, row.scopes.split()) == ("a key", key.raw[:16], list(SCOPES))
        kept = [str(getattr(each, column.name)) for each in (row, stored) for column in each.__table__.columns]
        assert not any(key.raw[16:44] in value for value in kept)

    def test_a_name_of_spaces_is_none(self) -> None:
        with pytest.raises(InvalidFieldsError):
            make_key(make_account(), name=" \t\n ")

    def test_keys_are_listed_newest_first_with_the_revoked_ones(self) -> None:
        account = make_account()
        first, second = make_key(account, name="first"), make_key(account, name="second")
        revoke_key(organisation_id=account.organisation_id, key_id=first.row.id, actor=OPERATOR, at=now())
        make_key(make_account(), name="somebody else's")
        assert {key.id: bool(key.revoked_at) for key in list_keys(account.organisation_id)} == {
            second.row.id: False,
            first.row.id: True,
        }

    def test_a_revoked_key_makes_room_for_another(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(operations, "MAX_ACTIVE_KEYS", 1)
        account = make_account()
        key = make_key(account)
        with pytest.raises(TooManyKeysError):
            make_key(account)
        revoke_key(organisation_id=account.organisation_id, key_id=key.row.id, actor=OPERATOR, at=now())
        assert make_key(account).row.revoked_at is None


def test_keys_made_at_once_do_not_exceed_the_most_that_are_allowed(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "MAX_ACTIVE_KEYS", 3)
    with app.app_context():
        account = make_account()
    together = threading.Barrier(8)

    def create(_: int) -> bool:
        with app.app_context():
            together.wait(timeout=10)
            try:
                make_key(account)
            except TooManyKeysError:
                return False
            return True

    with ThreadPoolExecutor(max_workers=8) as threads:
        made = list(threads.map(create, range(8)))
    assert made.count(True) == 3
    with app.app_context():
        assert len(list_keys(account.organisation_id)) == 3


@pytest.mark.usefixtures("context")
class TestRevocation:
    """A key is revoked for good."""

    def test_the_moment_of_the_first_revocation_stays(self) -> None:
        account = make_account()
        key = make_key(account)
        at = now()
        first, _ = revoke_key(organisation_id=account.organisation_id, key_id=key.row.id, actor=OPERATOR, at=at)
        assert first.revoked_at == at
        again, _ = revoke_key(organisation_id=account.organisation_id, key_id=key.row.id, actor=OPERATOR, at=now())
        assert again.revoked_at == at

    @pytest.mark.parametrize("key_id", ["", "key_x", "' OR 1=1 --", "x" * 1_000])
    def test_what_is_not_there_cannot_be_revoked(self, key_id: str) -> None:
        with pytest.raises(NotFoundError):
            revoke_key(organisation_id=make_account().organisation_id, key_id=key_id, actor=OPERATOR, at=now())

    def test_another_accounts_key_is_not_there(self) -> None:
        owner, stranger = make_account(), make_account()
        key = make_key(owner)
        with pytest.raises(NotFoundError):
            revoke_key(organisation_id=stranger.organisation_id, key_id=key.row.id, actor=OPERATOR, at=now())
        assert list_keys(owner.organisation_id)[0].revoked_at is None

    def test_a_key_that_redis_cannot_be_told_of_is_not_revoked(self, redis_url: str) -> None:
        account = make_account()
        key = make_key(account)
        store.connect("unix:///nowhere/valkey.sock")
        with pytest.raises(StoreAwayError):
            revoke_key(organisation_id=account.organisation_id, key_id=key.row.id, actor=OPERATOR, at=now())
        store.connect(redis_url)
        assert list_keys(account.organisation_id)[0].revoked_at is None
        assert store.client.exists(names.key_record(account.shard_tag, digest_of(key))) == 0


@pytest.mark.usefixtures("context")
def test_a_key_needs_an_organisation_that_exists() -> None:
    account: Account = make_account()
    with pytest.raises(Exception, match="row"):
        create_key(
            organisation_id="org_x",
            created_by_id=account.user_id,
            settings=KeySettings(name="a key", scopes=["jobs:read"]),
            actor=OPERATOR,
            at=now(),
        )
