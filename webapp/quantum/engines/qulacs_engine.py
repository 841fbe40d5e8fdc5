"""Run circuits on Qulacs, a state vector simulator in C++ (https://doi.org/10.22331/q-2021-10-06-559).

Two facts for whoever calls this: a run holds the interpreter's lock from beginning to end, and from 13 qubits on it
starts OpenMP threads, after which a forked child that runs a circuit hangs. Fork first, or set OMP_NUM_THREADS=1.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from typing import Final, Protocol, TypeVar

import qulacs
from qulacs import gate as qulacs_gate

from webapp.quantum.circuits import Circuit
from webapp.quantum.engines.base import Capabilities, RunRequest, RunResult, check_runnable, check_sampling
from webapp.quantum.gates import BARRIER, MEASURE

# Amplitudes are sums of doubles of about 1: a probability below this is their rounding noise.
_SMALLEST_PROBABILITY = 1e-12

_Amount = TypeVar("_Amount", int, float)


class _State(Protocol):
    """The part of a Qulacs state that is used here; the package brings no types."""

    def sampling(self, sampling_count: int, random_seed: int, /) -> list[int]: ...

    def get_amplitude(self, comp_basis: int, /) -> complex: ...


class _Gate(Protocol):
    """The part of a Qulacs gate that is used here."""

    def update_quantum_state(self, state: _State, /) -> None: ...


def _controlled(make: Callable[..., _Gate]) -> Callable[..., _Gate]:
    """Turn the maker of a one-qubit gate into the maker of its controlled form, the control named first."""

    def make_controlled(control: int, target: int, *angles: float) -> _Gate:
        matrix_gate = qulacs_gate.to_matrix_gate(make(target, *angles))
        matrix_gate.add_control_qubit(control, 1)
        controlled: _Gate = matrix_gate
        return controlled

    return make_controlled


def _pauli_rotation(pauli: int) -> Callable[..., _Gate]:
    """Make the maker of exp(-i angle/2 PP) on two qubits; Qulacs counts its angles the other way round."""

    def make_rotation(first: int, second: int, angle: float) -> _Gate:
        rotation: _Gate = qulacs_gate.PauliRotation([first, second], [pauli, pauli], -angle)
        return rotation

    return make_rotation


# Each maker takes the qubits, then the angles. Qulacs' own RX turns the other way than the rest of the world's: RotX is
# the usual one.
_MAKERS: Final[Mapping[str, Callable[..., _Gate]]] = {
    "id": qulacs_gate.Identity,
    "x": qulacs_gate.X,
    "y": qulacs_gate.Y,
    "z": qulacs_gate.Z,
    "h": qulacs_gate.H,
    "s": qulacs_gate.S,
    "sdg": qulacs_gate.Sdag,
    "t": qulacs_gate.T,
    "tdg": qulacs_gate.Tdag,
    "sx": qulacs_gate.sqrtX,
    "sxdg": qulacs_gate.sqrtXdag,
    "rx": qulacs_gate.RotX,
    "ry": qulacs_gate.RotY,
    "rz": qulacs_gate.RotZ,
    "p": qulacs_gate.U1,
    "u": qulacs_gate.U3,
    "cx": qulacs_gate.CNOT,
    "cy": _controlled(qulacs_gate.Y),
    "cz": qulacs_gate.CZ,
    "ch": _controlled(qulacs_gate.H),
    "cp": _controlled(qulacs_gate.U1),
    "crx": _controlled(qulacs_gate.RotX),
    "cry": _controlled(qulacs_gate.RotY),
    "crz": _controlled(qulacs_gate.RotZ),
    "swap": qulacs_gate.SWAP,
    "rxx": _pauli_rotation(1),
    "ryy": _pauli_rotation(2),
    "rzz": _pauli_rotation(3),
    "ccx": qulacs_gate.TOFFOLI,
    "cswap": qulacs_gate.FREDKIN,
}


class QulacsEngine:
    """The exact state vector, sampled; the seed alone decides the samples."""

    name = "qulacs"
    version = metadata.version("qulacs")

    def __init__(self, capabilities: Capabilities) -> None:
        self.capabilities = capabilities

    def run(self, circuit: Circuit, request: RunRequest) -> RunResult:
        """Run a circuit after checking it. Raises what `check_runnable` and `check_sampling` raise."""
        check_sampling(request)
        check_runnable(circuit, self.capabilities)
        started = time.perf_counter()
        state = _simulate(circuit)
        bitstrings = _Bitstrings(circuit)
        outcomes = Counter(state.sampling(request.shots, _fold_seed(request.seed)))
        counts = bitstrings.sum_up(_repair(outcomes, state, dimension=1 << circuit.qubits).items())
        probabilities = None
        if circuit.qubits <= self.capabilities.probabilities_max_qubits:
            probabilities = _compute_probabilities(state, 1 << circuit.qubits, bitstrings)
        return RunResult(counts, probabilities, self.name, self.version, time.perf_counter() - started)


def create_engine(capabilities: Capabilities) -> QulacsEngine:
    """Create the engine for the catalogue."""
    return QulacsEngine(capabilities)


def _simulate(circuit: Circuit) -> _State:
    """Compute the state before the measurements, which all come last."""
    state: _State = qulacs.QuantumState(circuit.qubits)
    for op in circuit.operations:
        if op.gate not in {MEASURE, BARRIER}:
            _MAKERS[op.gate](*op.qubits, *op.parameters).update_quantum_state(state)
    return state


def _fold_seed(seed: int) -> int:
    """Bring a seed to the 32 bits that Qulacs takes, leaving those that fit as they are."""
    # The odd factor, 2^32 over the golden ratio, keeps seeds that differ only in their high bits off the small seeds.
    return (seed ^ (seed >> 32) * 0x9E37_79B1) & 0xFFFF_FFFF


def _repair(outcomes: Counter[int], state: _State, *, dimension: int) -> Counter[int]:
    """Move samples that fell beyond the last amplitude onto the last outcome that is possible.

    Qulacs looks for a random number below 1 among running sums of probabilities, which may end a little below 1 by
    rounding; a number in between gives an outcome that does not exist.
    """
    strays = [outcome for outcome in outcomes if outcome >= dimension]
    if strays:
        outcome = dimension - 1
        while outcome > 0 and abs(state.get_amplitude(outcome)) ** 2 < _SMALLEST_PROBABILITY:
            outcome -= 1
        outcomes[outcome] += sum(outcomes.pop(stray) for stray in strays)
    return outcomes


class _Bitstrings:
    """The way from an outcome, whose bit i is qubit i, to the string of classical bits that users read."""

    def __init__(self, circuit: Circuit) -> None:
        self._clbits = circuit.clbits
        # A bit that is written twice keeps the last value.
        self._qubit_of_clbit = {op.clbits[0]: op.qubits[0] for op in circuit.operations if op.gate == MEASURE}
        self._is_plain = circuit.qubits == circuit.clbits == len(self._qubit_of_clbit) and all(
            clbit == qubit for clbit, qubit in self._qubit_of_clbit.items()
        )

    def sum_up(self, outcomes: Iterable[tuple[int, _Amount]]) -> dict[str, _Amount]:
        """Add up what belongs to the same bitstring, in the order of the bitstrings."""
        totals: dict[str, _Amount] = {}
        for outcome, amount in outcomes:
            bits = self._write(outcome)
            totals[bits] = totals[bits] + amount if bits in totals else amount
        return dict(sorted(totals.items()))

    def _write(self, outcome: int) -> str:
        """Write one outcome, classical bit 0 rightmost."""
        value = outcome
        if not self._is_plain:
            value = sum((outcome >> qubit & 1) << clbit for clbit, qubit in self._qubit_of_clbit.items())
        return f"{value:0{self._clbits}b}"


def _compute_probabilities(state: _State, dimension: int, bitstrings: _Bitstrings) -> dict[str, float]:
    """Compute the exact probability of every bitstring that is not rounding noise."""
    squares = ((outcome, abs(state.get_amplitude(outcome)) ** 2) for outcome in range(dimension))
    totals = bitstrings.sum_up((outcome, square) for outcome, square in squares if square)
    return {bits: probability for bits, probability in totals.items() if probability >= _SMALLEST_PROBABILITY}
