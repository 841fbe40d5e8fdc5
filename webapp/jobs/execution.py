"""A job's circuit made and run from what is stored of it, in whatever process: from JSON, and back to JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from webapp.jobs.models import Job
from webapp.quantum.circuits import Circuit
from webapp.quantum.engines import RunRequest, RunResult, get_engine
from webapp.quantum.engines.base import ExpectationValue
from webapp.quantum.noise import read_noise
from webapp.quantum.observables import read_observables
from webapp.quantum.programs import Program, read_program
from webapp.quantum.templates import get_template


@dataclass(frozen=True)
class Work:
    """All that a run depends on, as it was sent and is stored.

    Either `template_id` or `circuit` is there. `options` has what was asked for besides the counts: noise, observables,
    memory and statevector, as in the API.
    """

    template_id: str | None
    circuit: Mapping[str, Any] | None
    parameters: Mapping[str, Any]
    options: Mapping[str, Any]
    shots: int
    seed: int

    def make_circuit(self) -> Circuit:
        """Make the circuit. Raises TemplateNotFoundError, InvalidFieldsError or what a program's reader raises."""
        if self.circuit is not None:
            return read_program(Program(self.circuit["format"], self.circuit["source"]), inputs=self.parameters)
        return get_template(self.template_id or "").create_circuit(self.parameters)

    def make_request(self) -> RunRequest:
        """Put what was asked for into the engines' terms. Raises InvalidFieldsError."""
        noise = self.options.get("noise")
        return RunRequest(
            self.shots,
            self.seed,
            noise=None if noise is None else read_noise(noise),
            observables=read_observables(self.options.get("observables", ())),
            wants_memory=self.options.get("memory", False),
            wants_statevector=self.options.get("statevector", False),
        )


def work_of(job: Job) -> Work:
    """Give what a stored job runs."""
    return Work(job.template_id, job.circuit, job.parameters, job.options, job.shots, job.seed)


def write_work(work: Work, engine: str) -> bytes:
    """Write what to run, and on which engine, for another process."""
    return json.dumps({"work": asdict(work), "engine": engine}).encode()


def execute(content: bytes) -> RunResult:
    """Run what was written for this process. Raises what its circuit and its engine raise."""
    order = json.loads(content)
    work = Work(**order["work"])
    return get_engine(order["engine"]).run(work.make_circuit(), work.make_request())


def write_result(result: RunResult) -> bytes:
    """Write a result as JSON."""
    return json.dumps({"result": asdict(result)}).encode()


def read_result(content: Mapping[str, Any]) -> RunResult:
    """Read a result that was JSON."""
    means = tuple(ExpectationValue(**mean) for mean in content["expectation_values"])
    return RunResult(**{**content, "expectation_values": means})


def result_columns(result: RunResult) -> dict[str, Any]:
    """Give the columns of a job that hold its result."""
    further = {
        "expectationValues": [
            {"observable": mean.observable, "value": mean.value, "standardError": mean.standard_error}
            for mean in result.expectation_values
        ],
        "memory": result.memory,
        "statevector": result.statevector,
    }
    return {
        "engine_version": result.engine_version,
        "counts": result.counts,
        "probabilities": result.probabilities,
        "further_results": {name: value for name, value in further.items() if value} or None,
    }
