"""How often somebody may try: counted in Redis before the attempt, so that many at once cannot pass together.

A success is taken off again. While Redis is away each process counts for itself, with the same limits: nobody is locked
out by that, and nobody may guess without end.
"""

import hashlib
import ipaddress
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from webapp.accounts.devices import find_device
from webapp.core import redis_names as names
from webapp.core.errors import StoreAwayError, UpcubeError
from webapp.core.redis_scripts import RedisScript

TAKE = RedisScript(Path(__file__).with_name("take_attempt.lua"))
GIVE_BACK = RedisScript(Path(__file__).with_name("give_back_attempt.lua"))

QUARTER_HOUR = 15 * 60
DAY = 24 * 60 * 60
# A bound on what one process remembers while Redis is away.
MAX_LOCAL_COUNTERS = 10_000


class TooManyAttemptsError(UpcubeError):
    """Somebody has tried too often; the answer says how long to wait."""

    status = 429
    code = "too_many_attempts"

    def __init__(self, seconds: int) -> None:
        super().__init__(f"Too many attempts. Try again in {describe_wait(seconds)}.")
        self.seconds = seconds
        self.headers = {"Retry-After": str(seconds)}


@dataclass(frozen=True)
class Counter:
    """What is counted, and how many attempts it has room for in its window."""

    name: str
    limit: int
    window_seconds: int = QUARTER_HOUR

    @property
    def key(self) -> str:
        """Its name in Redis, which tells nobody's address."""
        return names.attempts(hashlib.sha256(self.name.encode()).hexdigest()[:40])


def describe_wait(seconds: int) -> str:
    """Write a time to wait in the unit that fits."""
    for unit, length in (("hour", 3600), ("minute", 60)):
        if seconds > length:
            return f"{-(-seconds // length)} {unit}s"
    return f"{seconds} second{'' if seconds == 1 else 's'}"


def count_log_ins(email: str, address: str, device: str) -> list[Counter]:
    """Give the counters of guesses at a password.

    A browser that the owner has logged in from before has its own, whatever strangers do.
    """
    if known := find_device(device, email):
        return [Counter(f"log-in device {known} {email}", 10)]
    network = network_of(address)
    return [
        Counter(f"log-in {email} from {network}", 10),
        Counter(f"log-in from {network}", 100),
        Counter(f"log-in {email}", 50),
    ]


def count_codes(email: str, password_hash: str, address: str, device: str) -> list[Counter]:
    """Give the counters of guesses at a second factor, which only somebody with the password can make.

    Of a million codes three are right at any moment: 30 guesses in a day find one with a chance of 1 in 11,000. Another
    password begins the count anew, so that its owner, who alone can set one, gets past whoever knew the old one. Who
    reads the account's mail can set one as well, and again and again: so there is an end to all of them together.
    """
    known = find_device(device, email)
    who = f"device {known} {email}" if known else f"{email} {password_hash}"
    counters = [
        Counter(f"code {who}", 5),
        Counter(f"code by day {who}", 30, DAY),
        Counter(f"code by day of anybody {email}", 100, DAY),
    ]
    return counters if known else [*counters, Counter(f"code from {network_of(address)}", 30)]


def count_mails(email: str, address: str) -> list[Counter]:
    """Give the counters of mails with links that somebody asks for.

    Nobody is locked out by another's asking: each link that was sent works, and goes to the owner.
    """
    return [Counter(f"mail to {email}", 3), Counter(f"mail from {network_of(address)}", 20)]


def count_challenges(address: str) -> list[Counter]:
    """Give the counter of challenges that somebody who is not logged in is given, each of which takes up memory."""
    return [Counter(f"challenge for {network_of(address)}", 100)]


def count_sign_ups(address: str) -> list[Counter]:
    """Give the counter of sign-ups where each writes to an address that may be a stranger's."""
    return [Counter(f"sign-up from {network_of(address)}", 50)]


def network_of(address: str) -> str:
    """Give what one household or company has: an IPv4 address, or the first 64 bits of an IPv6 one."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def take_attempt(counters: Sequence[Counter]) -> None:
    """Count one attempt. Raises TooManyAttemptsError, having counted nothing, where one of the counters is full."""
    arguments = [number for each in counters for number in (each.limit, each.window_seconds * 1000)]
    try:
        milliseconds = int(TAKE.run([each.key for each in counters], arguments))
    except StoreAwayError:
        milliseconds = local_counters.take(counters)
    if milliseconds:
        raise TooManyAttemptsError(-(-milliseconds // 1000))


def give_back_attempt(counters: Sequence[Counter]) -> None:
    """Take an attempt that succeeded off again."""
    try:
        GIVE_BACK.run([each.key for each in counters])
    except StoreAwayError:
        local_counters.give_back(counters)


class LocalCounters:
    """What this process counts by itself while Redis is away."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # By key: the attempts, and when the window ends on the monotonic clock.
        self._counts: dict[str, tuple[int, float]] = {}

    def take(self, counters: Sequence[Counter]) -> int:
        """Do as take_attempt.lua does."""
        now = time.monotonic()
        with self._lock:
            found = {each: self._read(each, now) for each in counters}
            waits = [int((ends - now) * 1000) + 1 for each, (count, ends) in found.items() if count >= each.limit]
            if waits:
                return max(waits)
            self._make_room(now)
            self._counts |= {each.key: (count + 1, ends) for each, (count, ends) in found.items()}
        return 0

    def give_back(self, counters: Sequence[Counter]) -> None:
        """Do as give_back_attempt.lua does."""
        now = time.monotonic()
        with self._lock:
            for each in counters:
                count, ends = self._read(each, now)
                if count:
                    self._counts[each.key] = (count - 1, ends)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._counts.clear()

    def _read(self, counter: Counter, now: float) -> tuple[int, float]:
        """Give the attempts in the window, which may begin now, and when it ends."""
        count, ends = self._counts.get(counter.key, (0, 0.0))
        return (count, ends) if ends > now else (0, now + counter.window_seconds)

    def _make_room(self, now: float) -> None:
        """Forget the windows that are over, and the oldest where there are still too many."""
        if len(self._counts) >= MAX_LOCAL_COUNTERS:
            self._counts = {key: value for key, value in self._counts.items() if value[1] > now}
            for key in list(self._counts)[: len(self._counts) - MAX_LOCAL_COUNTERS // 2]:
                del self._counts[key]


local_counters = LocalCounters()
