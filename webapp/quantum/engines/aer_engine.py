"""Run circuits on Qiskit Aer, with a method that is always named (https://github.com/Qiskit/qiskit-aer).

What Aer would choose by itself never is a matrix product state, and takes the whole machine's memory. A run holds the
interpreter's lock from beginning to end, and leaves threads behind that a later fork would hang on: only children that
do nothing else load this module.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from typing import Any

from qiskit import QuantumCircuit
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer import AerSimulator

from webapp.quantum.circuits import Circuit, Profile, drop_last_measurements
from webapp.quantum.engines.aer_circuits import (
    SAVED_MEAN,
    SAVED_PROBABILITIES,
    SAVED_STATEVECTOR,
    build_circuit,
    build_readout_noise,
)
from webapp.quantum.engines.base import Capabilities, ExpectationValue, RunRequest, RunResult, check_request
from webapp.quantum.engines.costs import MEMORY_LIMIT_BYTES, Method
from webapp.quantum.engines.outcomes import Readout, round_off, write_bits, write_shots
from webapp.quantum.engines.sampled_means import SampledTerm, estimate_means
from webapp.quantum.observables import PauliTerm

_SMALLEST_PROBABILITY = 1e-12


class EngineFailedError(RuntimeError):
    """Aer reported that it could not run the circuit; it raises nothing by itself."""


class AerEngine:
    """State vectors, density matrices, stabilizers and matrix product states, with noise."""

    name = "aer"
    version = metadata.version("qiskit-aer")

    def __init__(self, capabilities: Capabilities) -> None:
        self.capabilities = capabilities

    def run(self, circuit: Circuit, request: RunRequest) -> RunResult:
        """Run a circuit after checking it. Raises what `check_request` raises."""
        profile, cost = check_request(circuit, request, self.name, self.capabilities)
        started = time.perf_counter()
        return _Run(self, circuit, request, profile, cost.method).run(started)


def create_engine(capabilities: Capabilities) -> AerEngine:
    """Create the engine for the catalogue."""
    return AerEngine(capabilities)


class _Run:
    """One run of one circuit."""

    def __init__(
        self, engine: AerEngine, circuit: Circuit, request: RunRequest, profile: Profile, method: Method
    ) -> None:
        self._engine = engine
        self._circuit = circuit
        self._request = request
        self._method = method
        is_exact = not profile.is_dynamic and self._method != "aer_stabilizer"
        # The mean of trajectories has an error that Aer does not tell; a density matrix has none.
        self._has_exact_means = is_exact and (request.noise is None or self._method == "aer_density_matrix")
        self._has_probabilities = (
            is_exact
            and request.noise is None
            and self._method == "aer_statevector"
            and circuit.qubits <= engine.capabilities.probabilities_max_qubits
        )

    def run(self, started: float) -> RunResult:
        """Run it and read what came of it. Raises EngineFailedError."""
        request, circuit = self._request, self._circuit
        built = build_circuit(
            circuit,
            noise=request.noise,
            method=self._method.removeprefix("aer_"),
            saves_probabilities=self._has_probabilities,
            saves_statevector=request.wants_statevector,
            operators=self._list_operators() if self._has_exact_means else [],
        )
        data = self._simulate(built, request)
        counts = {int(bits, 16): count for bits, count in data["counts"].items()}
        memory = None
        if request.wants_memory:
            memory = write_shots((int(bits, 16) for bits in data["memory"]), circuit.clbits)
        return RunResult(
            counts={write_bits(bits, circuit.clbits): counts[bits] for bits in sorted(counts)},
            probabilities=self._read_probabilities(data) if self._has_probabilities else None,
            engine=self._engine.name,
            engine_version=self._engine.version,
            memory=memory,
            statevector=_read_statevector(data) if request.wants_statevector else None,
            expectation_values=self._read_means(data),
            seconds=time.perf_counter() - started,
        )

    def _simulate(self, built: QuantumCircuit, request: RunRequest) -> Mapping[str, Any]:
        """Run a circuit of Qiskit's: its method, its memory, one thread, and the seed. Raises EngineFailedError."""
        simulator = AerSimulator(
            method=self._method.removeprefix("aer_"),
            noise_model=build_readout_noise(request.noise),
            max_memory_mb=MEMORY_LIMIT_BYTES >> 20,
            max_parallel_threads=1,
            seed_simulator=request.seed,
            # Far above what the entanglement bound lets through, so nothing is ever cut off.
            matrix_product_state_max_bond_dimension=1 << 12,
        )
        result = simulator.run(built, shots=request.shots, memory=request.wants_memory).result()
        if not result.success:
            raise EngineFailedError(str(result.status)[:500])
        data: Mapping[str, Any] = result.data(0)
        return data

    def _sample_term(self, circuit: Circuit, term: PauliTerm, request: RunRequest) -> SampledTerm:
        """Have Aer compute a term for the state that each shot ends in."""
        built = build_circuit(
            drop_last_measurements(circuit),
            noise=request.noise,
            method=self._method.removeprefix("aer_"),
            saves_probabilities=False,
            saves_statevector=False,
            operators=[self._write_operator((replace(term, coefficient=1.0),))],
            saves_each_shot=True,
        )
        shots = self._simulate(built, replace(request, wants_memory=False))[f"{SAVED_MEAN}0"]
        # Where all of them are alike, Aer may compute one.
        return SampledTerm(float(sum(shots) / len(shots)), float(sum(value * value for value in shots) / len(shots)))

    def _list_operators(self) -> list[SparsePauliOp]:
        """Write the observables as Aer's, whose strings have qubit 0 rightmost as well."""
        return [self._write_operator(observable.terms) for observable in self._request.observables]

    def _write_operator(self, terms: Sequence[PauliTerm]) -> SparsePauliOp:
        """Write a sum of terms."""
        return SparsePauliOp.from_sparse_list(
            [
                ("".join(pauli for _, pauli in term.paulis), [qubit for qubit, _ in term.paulis], term.coefficient)
                for term in terms
            ],
            num_qubits=self._circuit.qubits,
        )

    def _read_means(self, data: Mapping[str, Any]) -> tuple[ExpectationValue, ...]:
        """Read the exact means, or estimate them from further runs."""
        if not self._has_exact_means:
            return estimate_means(self._circuit, self._request, self._sample_term)
        return tuple(
            ExpectationValue(observable.label, round_off(float(data[f"{SAVED_MEAN}{index}"])), 0.0)
            for index, observable in enumerate(self._request.observables)
        )

    def _read_probabilities(self, data: Mapping[str, Any]) -> dict[str, float]:
        """Read the exact probabilities of the classical bits."""
        probabilities = enumerate(data[SAVED_PROBABILITIES].tolist())
        totals = Readout(self._circuit).sum_up((outcome, value) for outcome, value in probabilities if value)
        return {bits: round_off(value) for bits, value in totals.items() if value >= _SMALLEST_PROBABILITY}


def _read_statevector(data: Mapping[str, Any]) -> list[tuple[float, float]]:
    """Read the amplitudes."""
    return [(amplitude.real, amplitude.imag) for amplitude in data[SAVED_STATEVECTOR].data.tolist()]
