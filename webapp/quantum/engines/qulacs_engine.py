"""Run circuits on Qulacs, a state vector simulator in C++ (https://doi.org/10.22331/q-2021-10-06-559).

Two facts for whoever calls this: a run holds the interpreter's lock from beginning to end, and from 12 qubits on it
starts OpenMP threads, after which a forked child that runs a circuit hangs. Fork first, or set OMP_NUM_THREADS=1.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from random import Random
from typing import Final, NamedTuple, Protocol, Self, cast

import qulacs
from qulacs import gate as qulacs_gate

from webapp.quantum.circuits import Circuit, Condition, Operation
from webapp.quantum.engines.base import Capabilities, ExpectationValue, RunRequest, RunResult, check_request
from webapp.quantum.engines.outcomes import Readout, round_off, write_shots
from webapp.quantum.engines.sampled_means import measure_term, sampled_result
from webapp.quantum.gates import BARRIER, MEASURE, NOT_GATES, RESET
from webapp.quantum.observables import Observable

# Amplitudes are sums of doubles of about 1: a probability below this is their rounding noise.
_SMALLEST_PROBABILITY = 1e-12


class _Amplitudes(Protocol):
    """The reading part of a Qulacs state."""

    def get_amplitude(self, comp_basis: int, /) -> complex: ...


class _State(_Amplitudes, Protocol):
    """The part of a Qulacs state that is used here."""

    def sampling(self, sampling_count: int, random_seed: int, /) -> list[int]: ...

    def get_zero_probability(self, target_qubit_index: int, /) -> float: ...

    def get_squared_norm(self) -> float: ...

    def normalize(self, squared_norm: float, /) -> None: ...

    def copy(self) -> "_State": ...


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


class _Sequence:
    """Gates one after the other, as one."""

    def __init__(self, *gates: _Gate) -> None:
        self._gates = gates

    def update_quantum_state(self, state: _State, /) -> None:
        for each in self._gates:
            each.update_quantum_state(state)


def _make_rxx(first: int, second: int, angle: float) -> _Gate:
    """Make exp(-i angle/2 XX) as a turn between two CNOTs: two thirds of the time of Qulacs' own from 12 qubits on."""
    flip = qulacs_gate.CNOT(first, second)
    return _Sequence(flip, qulacs_gate.RotX(first, angle), flip)


def _make_ryy(first: int, second: int, angle: float) -> _Gate:
    """Make exp(-i angle/2 YY); Qulacs counts its angles the other way round."""
    rotation: _Gate = qulacs_gate.PauliRotation([first, second], [2, 2], -angle)
    return rotation


def _make_rzz(first: int, second: int, angle: float) -> _Gate:
    """Make exp(-i angle/2 ZZ) as a turn between two CNOTs: half the time of Qulacs' own from 12 qubits on."""
    flip = qulacs_gate.CNOT(first, second)
    return _Sequence(flip, qulacs_gate.RotZ(second, angle), flip)


def _make_phase(*qubits_and_angle: float) -> _Gate:
    """Make a phase where all of some qubits are 1."""
    *controls, target = map(int, qubits_and_angle[:-1])
    matrix_gate = qulacs_gate.to_matrix_gate(qulacs_gate.U1(target, qubits_and_angle[-1]))
    for control in controls:
        matrix_gate.add_control_qubit(control, 1)
    controlled: _Gate = matrix_gate
    return controlled


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
    "rxx": _make_rxx,
    "ryy": _make_ryy,
    "rzz": _make_rzz,
    "ccx": qulacs_gate.TOFFOLI,
    "cswap": qulacs_gate.FREDKIN,
    "mcp": _make_phase,
}


class QulacsEngine:
    """The exact state vector, sampled; the seed alone decides the samples."""

    name = "qulacs"
    version = metadata.version("qulacs")

    def __init__(self, capabilities: Capabilities) -> None:
        self.capabilities = capabilities

    def run(self, circuit: Circuit, request: RunRequest) -> RunResult:
        """Run a circuit after checking it. Raises what `check_request` raises."""
        profile, _ = check_request(circuit, request, self.name, self.capabilities)
        run = self._run_branches if profile.is_dynamic else self._run_state
        return run(circuit, request, started=time.perf_counter())

    def _run_branches(self, circuit: Circuit, request: RunRequest, *, started: float) -> RunResult:
        """Run a circuit whose course depends on what it measures."""
        shots = _Branches(circuit, request).sample()
        return sampled_result(self, circuit, request, shots, sample_term=measure_term(self), started=started)

    def _run_state(self, circuit: Circuit, request: RunRequest, *, started: float) -> RunResult:
        """Run a circuit that ends by measuring: its state is computed once, and sampled."""
        state = _simulate(circuit)
        dimension = 1 << circuit.qubits
        readout = Readout(circuit)
        samples = state.sampling(request.shots, _fold_seed(request.seed))
        counted = Counter(samples)
        # Looked for among the different ones, which are fewer.
        if max(counted) >= dimension:
            samples = _repair(samples, state, dimension=dimension)
            counted = Counter(samples)
        probabilities = None
        if circuit.qubits <= self.capabilities.probabilities_max_qubits:
            probabilities = _compute_probabilities(state, dimension, readout)
        return RunResult(
            counts=readout.sum_up(counted.items()),
            probabilities=probabilities,
            engine=self.name,
            engine_version=self.version,
            seconds=time.perf_counter() - started,
            memory=write_shots(readout.read_all(samples), circuit.clbits) if request.wants_memory else None,
            statevector=_list_amplitudes(state, dimension) if request.wants_statevector else None,
            expectation_values=_compute_means(state, request.observables),
        )


def create_engine(capabilities: Capabilities) -> QulacsEngine:
    """Create the engine for the catalogue."""
    return QulacsEngine(capabilities)


def _apply(op: Operation, state: _State) -> None:
    """Apply one gate."""
    _MAKERS[op.gate](*op.qubits, *op.parameters).update_quantum_state(state)


def _simulate(circuit: Circuit) -> _State:
    """Compute the state before the measurements, which all come last."""
    state: _State = qulacs.QuantumState(circuit.qubits)
    for op in circuit.operations:
        if op.gate not in NOT_GATES:
            _apply(op, state)
    return state


class _PlacedCondition(NamedTuple):
    """A condition on the classical bits where they are: it is asked for each course, and the bits may be many."""

    mask: int
    values: frozenset[int]
    is_negated: bool

    @classmethod
    def place(cls, condition: Condition) -> Self:
        """Put the bits of the values where they are read."""
        places = [1 << clbit for clbit in condition.clbits]
        values = frozenset(sum(places[index] for index in _list_ones(value)) for value in condition.values)
        return cls(sum(places), values, condition.is_negated)

    def holds(self, bits: int) -> bool:
        """Tell whether it holds, given all classical bits."""
        return (bits & self.mask in self.values) is not self.is_negated


class _Branches:
    """Runs a circuit whose course depends on what it measures: the shots part where an outcome may be 0 or 1.

    Shots that measured the same so far share one state, so the work grows with the different histories and not with
    the shots.
    """

    def __init__(self, circuit: Circuit, request: RunRequest) -> None:
        self._circuit = circuit
        self._shots = request.shots
        self._random = Random(request.seed)  # noqa: S311  # nosec B311  # samples, no secrets
        # From here on nothing but measurements is left, so the rest can be sampled at once.
        operations = circuit.operations
        self._tail = len(operations)
        while self._tail and operations[self._tail - 1].gate in {MEASURE, BARRIER}:
            if operations[self._tail - 1].conditions:
                break
            self._tail -= 1
        rest = tuple(op for op in operations[self._tail :] if op.gate == MEASURE)
        self._rest = Readout(Circuit(circuit.qubits, circuit.clbits, rest)) if rest else None
        conditions = {condition for op in operations[: self._tail] for condition in op.conditions}
        placed = {condition: _PlacedCondition.place(condition) for condition in conditions}
        self._asked = [[placed[condition] for condition in op.conditions] for op in operations[: self._tail]]
        self._overwritten = sum(1 << clbit for clbit in {op.clbits[0] for op in rest})

    def sample(self) -> list[int]:
        """Sample the classical bits of every shot, in random order."""
        pending: list[tuple[_State, int, int, int]] = [(qulacs.QuantumState(self._circuit.qubits), 0, 0, self._shots)]
        sampled: list[int] = []
        while pending:
            state, index, bits, shots = pending.pop()
            while index < self._tail:
                op, asked = self._circuit.operations[index], self._asked[index]
                index += 1
                if op.gate == BARRIER or not all(condition.holds(bits) for condition in asked):
                    continue
                if op.gate not in NOT_GATES:
                    _apply(op, state)
                    continue
                ones = self._draw_ones(state, op.qubits[0], shots)
                if 0 < ones < shots:
                    other = state.copy()
                    _collapse(other, op, 1)
                    pending.append((other, index, _record(op, bits, 1), ones))
                    shots -= ones
                    ones = 0
                outcome = int(ones == shots)
                _collapse(state, op, outcome)
                bits = _record(op, bits, outcome)
            sampled.extend(self._sample_rest(state, bits, shots))
        self._random.shuffle(sampled)
        return sampled

    def _draw_ones(self, state: _State, qubit: int, shots: int) -> int:
        """Draw how many of the shots measure 1."""
        chance = 1 - state.get_zero_probability(qubit)
        if chance < _SMALLEST_PROBABILITY:
            return 0
        if chance > 1 - _SMALLEST_PROBABILITY:
            return shots
        return sum(self._random.random() < chance for _ in range(shots))

    def _sample_rest(self, state: _State, bits: int, shots: int) -> list[int]:
        """Sample the measurements that end the circuit."""
        if self._rest is None:
            return [bits] * shots
        samples = _repair(
            state.sampling(shots, self._random.getrandbits(32)), state, dimension=1 << self._circuit.qubits
        )
        kept = bits & ~self._overwritten
        return [kept | written for written in self._rest.read_all(samples)]


def _list_ones(value: int) -> Iterator[int]:
    """List the places of the ones of a number, of which wide registers have few."""
    while value:
        yield (value & -value).bit_length() - 1
        value &= value - 1


def _collapse(state: _State, op: Operation, outcome: int) -> None:
    """Leave of a state what agrees with an outcome; a reset then turns it to 0."""
    qubit = op.qubits[0]
    project: _Gate = (qulacs_gate.P1 if outcome else qulacs_gate.P0)(qubit)
    project.update_quantum_state(state)
    state.normalize(state.get_squared_norm())
    if op.gate == RESET and outcome:
        flip: _Gate = qulacs_gate.X(qubit)
        flip.update_quantum_state(state)


def _record(op: Operation, bits: int, outcome: int) -> int:
    """Write an outcome into the classical bits, if the operation is a measurement."""
    if op.gate != MEASURE:
        return bits
    clbit = op.clbits[0]
    return bits & ~(1 << clbit) | outcome << clbit


def _fold_seed(seed: int) -> int:
    """Bring a seed to the 32 bits that Qulacs takes, leaving those that fit as they are."""
    # The odd factor, 2^32 over the golden ratio, keeps seeds that differ only in their high bits off the small seeds.
    return (seed ^ (seed >> 32) * 0x9E37_79B1) & 0xFFFF_FFFF


def _repair(samples: list[int], state: _Amplitudes, *, dimension: int) -> list[int]:
    """Move samples that fell beyond the last amplitude onto the last outcome that is possible.

    Qulacs looks for a random number below 1 among running sums of probabilities, which may end a little below 1 by
    rounding; a number in between gives an outcome that does not exist.
    """
    if max(samples, default=0) < dimension:
        return samples
    last = dimension - 1
    while last > 0 and abs(state.get_amplitude(last)) ** 2 < _SMALLEST_PROBABILITY:
        last -= 1
    return [outcome if outcome < dimension else last for outcome in samples]


def _compute_probabilities(state: _State, dimension: int, readout: Readout) -> dict[str, float]:
    """Compute the exact probability of every bitstring that is not rounding noise."""
    squares = ((outcome, abs(state.get_amplitude(outcome)) ** 2) for outcome in range(dimension))
    totals = readout.sum_up((outcome, square) for outcome, square in squares if square)
    return {bits: round_off(chance) for bits, chance in totals.items() if chance >= _SMALLEST_PROBABILITY}


def _list_amplitudes(state: _State, dimension: int) -> list[tuple[float, float]]:
    """List every amplitude as its real and its imaginary part."""
    amplitudes = [state.get_amplitude(outcome) for outcome in range(dimension)]
    return [(amplitude.real, amplitude.imag) for amplitude in amplitudes]


def _compute_means(state: _State, observables: tuple[Observable, ...]) -> tuple[ExpectationValue, ...]:
    """Compute the exact mean of each observable.

    Term by term: a hundred at once kept all other threads from going on for a tenth of a second on 16 qubits.
    """
    given = cast("qulacs.QuantumState", state)
    means = []
    for observable in observables:
        mean = 0.0
        for term in observable.terms:
            paulis = " ".join(f"{pauli} {qubit}" for qubit, pauli in term.paulis)
            mean += qulacs.PauliOperator(paulis or "I 0", term.coefficient).get_expectation_value(given).real
        means.append(ExpectationValue(observable.label, round_off(mean), 0.0))
    return tuple(means)
