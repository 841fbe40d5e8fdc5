"""The simulators behind one protocol, each loaded when it is first asked for."""

from webapp.quantum.engines.base import (
    Capabilities,
    CircuitTooLargeError,
    Engine,
    ExpectationValue,
    RunRequest,
    RunResult,
    UnsupportedCircuitError,
    check_runnable,
)
from webapp.quantum.engines.catalogue import (
    ENGINE_NAMES,
    UnknownEngineError,
    get_capabilities,
    get_engine,
)

__all__ = [
    "ENGINE_NAMES",
    "Capabilities",
    "CircuitTooLargeError",
    "Engine",
    "ExpectationValue",
    "RunRequest",
    "RunResult",
    "UnknownEngineError",
    "UnsupportedCircuitError",
    "check_runnable",
    "get_capabilities",
    "get_engine",
]
