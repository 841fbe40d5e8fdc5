"""An engine that fails as it is told to, for the engines' catalogue."""

from webapp.quantum.circuits import Circuit
from webapp.quantum.engines import Capabilities, RunRequest, RunResult

# What the next run raises.
FAILURES: list[BaseException] = []


class BrokenEngine:
    """Raises instead of running."""

    name = "broken"
    version = "0"

    def __init__(self, capabilities: Capabilities) -> None:
        self.capabilities = capabilities

    def run(self, circuit: Circuit, request: RunRequest) -> RunResult:  # noqa: ARG002 - the protocol's signature
        """Fail."""
        raise FAILURES.pop()


def create_engine(capabilities: Capabilities) -> BrokenEngine:
    """Create the engine for the catalogue."""
    return BrokenEngine(capabilities)
