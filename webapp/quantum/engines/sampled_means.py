"""Means of observables estimated from shots, for engines and circuits where no exact state is at hand."""

import math
from dataclasses import replace

from webapp.quantum.circuits import Circuit, Operation, gate, list_mid_circuit, measurement
from webapp.quantum.engines.base import Engine, ExpectationValue, RunRequest
from webapp.quantum.gates import MEASURE
from webapp.quantum.observables import Observable, PauliTerm

# Turn the axis of a Pauli matrix onto Z.
_ROTATIONS = {"X": ("h",), "Y": ("sdg", "h"), "Z": ()}


def estimate_means(engine: Engine, circuit: Circuit, request: RunRequest) -> tuple[ExpectationValue, ...]:
    """Estimate each observable of the request by as many shots for each of its terms."""
    without_end = _drop_last_measurements(circuit)
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
        variance += term.coefficient**2 * (1 - mean**2) / request.shots
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


def _drop_last_measurements(circuit: Circuit) -> Circuit:
    """Leave out the measurements on which nothing depends."""
    kept = set(list_mid_circuit(circuit))

    def stays(index: int, op: Operation) -> bool:
        return op.gate != MEASURE or index in kept

    return replace(circuit, operations=tuple(op for index, op in enumerate(circuit.operations) if stays(index, op)))
