"""What is made of shots alone, where no exact state is at hand: counts, and means of observables."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from webapp.quantum.circuits import Circuit, drop_last_measurements, gate, measurement
from webapp.quantum.engines.base import Engine, ExpectationValue, RunRequest, RunResult
from webapp.quantum.engines.outcomes import count_shots, round_off, write_shots
from webapp.quantum.observables import Observable, PauliTerm

# Turn the axis of a Pauli matrix onto Z.
_ROTATIONS = {"X": ("h",), "Y": ("sdg", "h"), "Z": ()}


@dataclass(frozen=True, slots=True)
class SampledTerm:
    """What the shots of a term gave, without its coefficient: their mean, and the mean of their squares.

    A shot that is measured is 1 or -1, and its square is 1; one that an engine computes may lie in between.
    """

    mean: float
    mean_square: float = 1.0


# Samples a term of an observable over the state before the last measurements of a circuit. Nothing fails in it but the
# circuit itself: the readout of the term is no part of the state.
TermSampler = Callable[[Circuit, PauliTerm, RunRequest], SampledTerm]


def sampled_result(
    engine: Engine,
    circuit: Circuit,
    request: RunRequest,
    shots: Sequence[int],
    *,
    sample_term: TermSampler,
    started: float,
) -> RunResult:
    """Put together what an engine gives that knows nothing but its shots, each as a number of classical bits."""
    return RunResult(
        counts=count_shots(shots, circuit.clbits),
        probabilities=None,
        engine=engine.name,
        engine_version=engine.version,
        memory=write_shots(shots, circuit.clbits) if request.wants_memory else None,
        expectation_values=estimate_means(circuit, request, sample_term),
        seconds=time.perf_counter() - started,
    )


def estimate_means(circuit: Circuit, request: RunRequest, sample_term: TermSampler) -> tuple[ExpectationValue, ...]:
    """Estimate each observable of the request by as many shots for each of its terms."""
    return tuple(
        _estimate(sample_term, circuit, request, observable, index)
        for index, observable in enumerate(request.observables)
    )


def _estimate(
    sample_term: TermSampler, circuit: Circuit, request: RunRequest, observable: Observable, index: int
) -> ExpectationValue:
    """Estimate one observable; the errors of its terms, sampled one by one, add up in squares."""
    value, variance = 0.0, 0.0
    for place, term in enumerate(observable.terms):
        if not term.paulis:
            value += term.coefficient
            continue
        # Every term has a seed of its own, made from that of the request.
        seed = (request.seed + 0x9E37_79B9 * (1 + place + 1_000 * index)) & 0xFFFF_FFFF
        sampled = sample_term(circuit, term, replace(request, seed=seed))
        value += term.coefficient * sampled.mean
        variance += term.coefficient**2 * _guess_variance(sampled, request.shots) / request.shots
    return ExpectationValue(observable.label, round_off(value), math.sqrt(variance))


def _guess_variance(sampled: SampledTerm, shots: int) -> float:
    """Guess the variance of a shot, as if there had been one of 1 and one of -1 besides.

    That is Laplace's rule of succession: a few shots that all agree do not make a mean exact.
    """
    likely = sampled.mean * shots / (shots + 2)
    return (sampled.mean_square * shots + 2) / (shots + 2) - likely**2


def measure_term(engine: Engine) -> TermSampler:
    """Make the sampler of an engine without noise: it measures the term's qubits along its axes, in a further run."""

    def sample(circuit: Circuit, term: PauliTerm, request: RunRequest) -> SampledTerm:
        turns = [gate(name, qubit) for qubit, pauli in term.paulis for name in _ROTATIONS[pauli]]
        before = drop_last_measurements(circuit)
        first = before.clbits
        ends = [measurement(qubit, first + place) for place, (qubit, _) in enumerate(term.paulis)]
        measured = Circuit(circuit.qubits, first + len(ends), (*before.operations, *turns, *ends))
        only_counts = replace(request, observables=(), wants_memory=False, wants_statevector=False)
        counts = engine.run(measured, only_counts).counts
        total = sum(count * (-1 if bits[: len(ends)].count("1") % 2 else 1) for bits, count in counts.items())
        return SampledTerm(total / request.shots)

    return sample
