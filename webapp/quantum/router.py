"""Choose the engine for a circuit, and say why."""

from collections.abc import Sequence
from dataclasses import dataclass

from webapp.quantum.circuits import Profile
from webapp.quantum.engines import ENGINE_NAMES


@dataclass(frozen=True, slots=True)
class Route:
    """The engine chosen and the reason, as a sentence for the user."""

    engine: str
    reason: str


def choose_engine(profile: Profile, *, engines: Sequence[str] = ENGINE_NAMES) -> Route:
    """Choose among the engines that a backend offers.

    The only engine so far takes every circuit that there is; what it cannot run it refuses itself, with the reason.
    """
    engine = engines[0]
    return Route(
        engine,
        f"{engine} computes all 2^{profile.qubits} amplitudes exactly, and it is the fastest engine for that here.",
    )
