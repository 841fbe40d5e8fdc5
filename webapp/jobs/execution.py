"""A job's circuit run in a process that knows nothing but what it was told: from JSON, and back to JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from webapp.quantum.engines import RunRequest, RunResult, get_engine
from webapp.quantum.templates import get_template


def execute(work: Mapping[str, Any]) -> RunResult:
    """Make the circuit and run it. Raises what its template and its engine raise."""
    circuit = get_template(work["templateId"]).create_circuit(work["parameters"])
    return get_engine(work["engine"]).run(circuit, RunRequest(work["shots"], work["seed"]))


def write_result(result: RunResult) -> bytes:
    """Write a result as JSON."""
    return json.dumps({"result": asdict(result)}).encode()


def read_result(content: Mapping[str, Any]) -> RunResult:
    """Read a result that was JSON."""
    return RunResult(**content)
