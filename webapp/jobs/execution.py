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


def result_columns(task: Task, results: Sequence[RunResult]) -> dict[str, Any]:
    """Give the columns of a job that hold what came of its circuits."""
    if not task.is_single:
        versions = {result.engine_version for result in results}
        return {
            "engine_version": versions.pop() if len(versions) == 1 else None,
            "results": [write_one_of_several(result) for result in results],
        }
    [result] = results
    return {
        "engine_version": result.engine_version,
        "counts": result.counts,
        "probabilities": result.probabilities,
        "further_results": list_further(result) or None,
    }


def write_one_of_several(result: RunResult) -> dict[str, Any]:
    """Write what came of one circuit of a batch or a sweep, as it is stored."""
    return {
        "engineVersion": result.engine_version,
        "counts": result.counts,
        "probabilities": result.probabilities,
        **list_further(result),
    }


def list_further(result: RunResult) -> dict[str, Any]:
    """Give what was asked for besides the counts."""
    further = {
        "expectationValues": [
            {"observable": mean.observable, "value": mean.value, "standardError": mean.standard_error}
            for mean in result.expectation_values
        ],
        "memory": result.memory,
        "statevector": result.statevector,
    }
    return {name: value for name, value in further.items() if value}
