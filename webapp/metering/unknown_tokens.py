"""Tokens that Redis does not know: from one network, SQL is asked of so many in a minute that nobody has.

A key that Redis knows never comes here, whatever else its network sends. One that it does not know, of an account that
it knows, has room of its own: who guesses tokens does not know the account's shard tag, one of 57 billion.
"""

from webapp.accounts.throttle import (
    Counter,
    TooManyAttemptsError,
    describe_wait,
    give_back_attempt,
    network_of,
    take_attempt,
)
from webapp.core import redis_names as names
from webapp.core.errors import UpcubeError
from webapp.core.key_tokens import KeyToken
from webapp.core.redis import asking_redis, store
from webapp.keys.queries import get_token_by_digest

# More than a web process has threads: that many of one network may be looked up at one time, and all be good.
MAX_UNKNOWN = 60
WINDOW_SECONDS = 60


class TooManyUnknownKeysError(UpcubeError):
    """A network sends many tokens that nobody has; whether somebody has this one was not looked up."""

    status = 429
    code = "too_many_unknown_keys"

    def __init__(self, seconds: int) -> None:
        super().__init__(
            "Too many unknown API keys were sent from your network, so this one was not looked up. "
            f"Try again in {describe_wait(seconds)}.",
            target="Authorization",
        )
        self.headers = {"Retry-After": str(seconds)}


def is_stored(token: KeyToken, *, address: str) -> bool:
    """Tell whether SQL knows a token. Raises TooManyUnknownKeysError or StoreAwayError.

    It is counted beforehand, so that many at once cannot pass together; only one that nobody has stays counted.
    """
    counter = take_lookup(token, network_of(address))
    is_known = None
    try:
        is_known = get_token_by_digest(token.digest) is not None
    finally:
        if is_known is not False:
            give_back_attempt([counter])
    return is_known


def take_lookup(token: KeyToken, network: str) -> Counter:
    """Count one look-up where there is room for it, and give the counter. Raises TooManyUnknownKeysError."""
    anybodys = Counter(f"unknown keys from {network}", MAX_UNKNOWN, WINDOW_SECONDS)
    its_accounts = Counter(f"unknown keys of {token.shard_tag} from {network}", MAX_UNKNOWN, WINDOW_SECONDS)
    try:
        return take_place(anybodys)
    except TooManyUnknownKeysError:
        with asking_redis():
            is_account_known = store.client.exists(names.account_record(token.shard_tag))
        if not is_account_known:
            raise
    return take_place(its_accounts)


def take_place(counter: Counter) -> Counter:
    """Count one look-up in this counter. Raises TooManyUnknownKeysError."""
    try:
        take_attempt([counter])
    except TooManyAttemptsError as error:
        raise TooManyUnknownKeysError(error.seconds) from None
    return counter
