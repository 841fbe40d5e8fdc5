"""Places that a process has for what keeps a thread, so many for all and so many for one account."""

import threading
from collections import Counter


class Places:
    """Who has a place, by account."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """Give how many are taken."""
        with self._lock:
            return self._taken.total()

    def take(self, account: str, *, most: int, most_of_one_account: int) -> bool:
        """Take a place; False where so many are taken already, or so many by this account."""
        with self._lock:
            is_left = self._taken.total() < most and self._taken[account] < most_of_one_account
            if is_left:
                self._taken[account] += 1
            return is_left

    def leave(self, account: str) -> None:
        """Free the account's place."""
        with self._lock:
            self._taken -= Counter([account])
