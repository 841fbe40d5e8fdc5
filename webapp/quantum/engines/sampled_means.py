"""What is made of shots alone, where no exact state is at hand: counts, and means of observables."""

import math
import time
from collections.abc import Sequence
from dataclasses import replace

from webapp.quantum.circuits import Circuit, drop_last_measurements, gate, measurement
from webapp.quantum.engines.base import Engine, ExpectationValue, RunRequest, RunResult
from webapp.quantum.engines.outcomes import count_shots, write_bits
from webapp.quantum.observables import Observable, PauliTerm

# Turn the axis of a Pauli matrix onto Z.
_ROTATIONS = {"X": ("h",), "Y": ("sdg", "h"), "Z": ()}


def sampled_result(
    engine: Engine, circuit: Circuit, request: RunRequest, shots: Sequence[int], *, started: float
) -> RunResult:
    """Put together what an engine gives that knows nothing but its shots, each as a number of classical bits."""
    return RunResult(
        counts=count_shots(shots, circuit.clbits),
        probabilities=None,
        engine=engine.name,
        engine_version=engine.version,
        memory=[write_bits(bits, circuit.clbits) for bits in shots] if request.wants_memory else None,
        expectation_values=estimate_means(engine, circuit, request),
        seconds=time.perf_counter() - started,
    )


def estimate_means(engine: Engine, circuit: Circuit, request: RunRequest) -> tuple[ExpectationValue, ...]:
    """Estimate each observable of the request by as many shots for each of its terms."""
    without_end = drop_last_measurements(circuit)
    return tuple(
        _estimate(engine, without_end, request, observable, index)
        for index, observable in enumerate(request.observables)
    )


def _estimate(
    engine: Engine, circuit: Circuit, request: RunRequest, observable: Observable, index: int
) -> ExpectationValue:
    """Estimate one observable; the errors of its terms, sampled one by one, add up in squares."""
    value, variance = 0.0, 0.0
    for place, term in enumerate(observable.terms):
        if not term.paulis:
            value += term.coefficient
            continue
        # Every term has a seed of its own, made from that of the request.
        seed = (request.seed + 0x9E37_79B9 * (1 + place + 1_000 * index)) & 0xFFFF_FFFF
        mean = _sample_mean(engine, circuit, term, replace(request, seed=seed))
        value += term.coefficient * mean
        # Laplace's rule of succession: a few shots that all agree do not make a mean exact.
        likely = mean * request.shots / (request.shots + 2)
        variance += term.coefficient**2 * (1 - likely**2) / request.shots
    return ExpectationValue(observable.label, value, math.sqrt(variance))


def _sample_mean(engine: Engine, circuit: Circuit, term: PauliTerm, request: RunRequest) -> float:
    """Measure the term's qubits along its axes, and average the product of the outcomes, each 1 or -1."""
    turns = [gate(name, qubit) for qubit, pauli in term.paulis for name in _ROTATIONS[pauli]]
    first = circuit.clbits
    ends = [measurement(qubit, first + place) for place, (qubit, _) in enumerate(term.paulis)]
    measured = Circuit(circuit.qubits, first + len(ends), (*circuit.operations, *turns, *ends))
    only_counts = replace(request, observables=(), wants_memory=False, wants_statevector=False)
    counts = engine.run(measured, only_counts).counts
    total = sum(count * (-1 if bits[: len(ends)].count("1") % 2 else 1) for bits, count in counts.items())
    return total / request.shots
