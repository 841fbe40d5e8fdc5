"""A job's circuits run from what is stored of them, in whatever process: from JSON, and back to JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from webapp.jobs.tasks import Task
from webapp.quantum.engines import RunResult, get_engine
from webapp.quantum.engines.base import ExpectationValue


def write_order(task: Task, engines: Sequence[str]) -> bytes:
    """Write what to run, and each circuit's engine, for another process."""
    return json.dumps({"task": asdict(task), "engines": list(engines)}).encode()


def execute(content: bytes) -> list[RunResult]:
    """Run what was written for this process. Raises what its circuits and their engines raise."""
    order = json.loads(content)
    made = Task(**order["task"]).make_circuits()
    return [
        get_engine(engine).run(circuit, request)
        for (circuit, request), engine in zip(made, order["engines"], strict=True)
    ]


def write_results(results: Sequence[RunResult]) -> bytes:
    """Write results as JSON."""
    return json.dumps({"results": [asdict(result) for result in results]}).encode()


def read_results(content: Sequence[Mapping[str, Any]]) -> list[RunResult]:
    """Read results that were JSON."""
    return [
        RunResult(
            **{**each, "expectation_values": tuple(ExpectationValue(**mean) for mean in each["expectation_values"])}
        )
        for each in content
    ]
