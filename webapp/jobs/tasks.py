"""What a job runs: one circuit, a batch of circuits, or a sweep of one circuit over lists of parameters."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from webapp.core.errors import UpcubeError
from webapp.core.large_work import LargeWorkBusyError
from webapp.core.memo import remembered
from webapp.jobs.models import Job
from webapp.quantum.circuits import Circuit
from webapp.quantum.engines import RunRequest
from webapp.quantum.limits import MAX_SEED
from webapp.quantum.noise import read_noise
from webapp.quantum.observables import read_observables
from webapp.quantum.parsing.allowance import Allowance
from webapp.quantum.programs import Program, read_program
from webapp.quantum.templates import get_template

# The circuits of a batch, and the points of a sweep.
MAX_CIRCUITS = 100


@dataclass(frozen=True)
class Work:
    """One of a job's circuits, with its own parameters and its own seed. Either `template_id` or `circuit` is there."""

    template_id: str | None
    circuit: Mapping[str, Any] | None
    parameters: Mapping[str, Any]
    seed: int

    def make_circuit(self, allowance: Allowance | None = None) -> Circuit:
        """Make the circuit. Raises TemplateNotFoundError, InvalidFieldsError or what a program's reader raises."""
        if self.circuit is not None:
            program = Program(self.circuit["format"], self.circuit["source"])
            return read_program(program, inputs=self.parameters, allowance=allowance)
        return get_template(self.template_id or "").create_circuit(self.parameters)


@dataclass(frozen=True)
class Task:
    """All that a job runs, as it was sent and is stored.

    One of `template_id`, `circuit` and `circuits` is there; the last makes a batch. Lists in `parameters`, all of one
    length, make a sweep: one circuit for each place in them. `options` has what was asked for besides the counts, of
    every circuit: noise, observables, memory and statevector, as in the API.
    """

    template_id: str | None
    circuit: Mapping[str, Any] | None
    circuits: Sequence[Mapping[str, Any]] | None
    parameters: Mapping[str, Any]
    options: Mapping[str, Any]
    shots: int
    seed: int

    @remembered
    def is_sweep(self) -> bool:
        """Tell whether any parameter is a list."""
        return any(isinstance(value, list) for value in self.parameters.values())

    @remembered
    def is_single(self) -> bool:
        """Tell whether it is neither a batch nor a sweep. A batch of one circuit is still a batch."""
        return self.circuits is None and not self.is_sweep

    def list_works(self) -> Iterator[Work]:
        """Give its circuits one after the other, each with its own parameters and its own seed."""
        if self.is_single:
            yield Work(self.template_id, self.circuit, self.parameters, self.seed)
            return
        circuits = self.circuits if self.circuits is not None else [self.circuit] * count_points(self.parameters)
        for index, circuit in enumerate(circuits):
            parameters = take_point(self.parameters, index)
            yield Work(self.template_id, circuit, parameters, derive_seed(self.seed, index))

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

    def make_circuits(self) -> Iterator[tuple[Circuit, RunRequest]]:
        """Make its circuits one after the other, each with how to run it, within the limits of one job.

        Raises what `make_circuit` and `make_request` raise.
        """
        # Read once: observables may be long, and are the same for every circuit.
        request = self.make_request()
        allowance = Allowance()
        for index, work in enumerate(self.list_works()):
            try:
                circuit = work.make_circuit(allowance)
                if not self.is_single:
                    allowance.count_operations(len(circuit.operations))
            except LargeWorkBusyError:
                # Whichever circuit it was that made the job large.
                raise
            except UpcubeError as error:
                self.name_circuit(error, index)
                raise
            yield circuit, request if self.is_single else replace(request, seed=work.seed)

    def name_circuit(self, error: UpcubeError, index: int) -> None:
        """Have an error say which of several circuits it is about, counted as the results are: from 0."""
        if self.circuits is not None:
            place = f"circuits[{index}]"
            error.target = (error.target or "circuit").replace("circuit", place, 1)
            error.message = f"{place}: {error.message}"
        elif self.is_sweep:
            error.message = f"At place [{index}] of the lists in parameters: {error.message}"


def task_of(job: Job) -> Task:
    """Give what a stored job runs."""
    return Task(job.template_id, job.circuit, job.circuits, job.parameters, job.options, job.shots, job.seed)


def count_points(parameters: Mapping[str, Any]) -> int:
    """Count the points of a sweep, whose lists have one length."""
    return min(len(value) for value in parameters.values() if isinstance(value, list))


def take_point(parameters: Mapping[str, Any], index: int) -> dict[str, Any]:
    """Take one point of a sweep: what is no list is the same in each."""
    return {name: value[index] if isinstance(value, list) else value for name, value in parameters.items()}


def derive_seed(seed: int, index: int) -> int:
    """Derive the seed of one circuit of a job, so that circuits are independent and each can be run again alone."""
    digest = hashlib.sha256(f"{seed}:{index}".encode()).digest()
    return int.from_bytes(digest[:8]) % (MAX_SEED + 1)
