"""Sample Clifford circuits with Stim, in time polynomial in their width (https://doi.org/10.22331/q-2021-07-06-497)."""

import time
from collections.abc import Mapping
from importlib import metadata
from typing import Final

import numpy as np
import stim

from webapp.quantum.circuits import Circuit, Operation, drop_last_measurements
from webapp.quantum.engines.base import Capabilities, RunRequest, RunResult, check_request
from webapp.quantum.engines.clifford import name_clifford
from webapp.quantum.engines.sampled_means import SampledTerm, sampled_result
from webapp.quantum.gates import BARRIER, MEASURE, RESET
from webapp.quantum.noise import NoiseModel
from webapp.quantum.observables import PauliTerm

_NAMES: Final[Mapping[str, str]] = {
    "id": "I",
    "x": "X",
    "y": "Y",
    "z": "Z",
    "h": "H",
    "s": "S",
    "sdg": "S_DAG",
    "sx": "SQRT_X",
    "sxdg": "SQRT_X_DAG",
    "cx": "CX",
    "cy": "CY",
    "cz": "CZ",
    "swap": "SWAP",
}

_FEED_FORWARD: Final[Mapping[str, str]] = {"x": "CX", "y": "CY", "z": "CZ"}


class StimEngine:
    """Clifford circuits, with measurements anywhere, resets, and Pauli gates that depend on a measured bit."""

    name = "stim"
    version = metadata.version("stim")

    def __init__(self, capabilities: Capabilities) -> None:
        self.capabilities = capabilities

    def run(self, circuit: Circuit, request: RunRequest) -> RunResult:
        """Run a circuit after checking it. Raises what `check_request` raises."""
        check_request(circuit, request, self.name, self.capabilities)
        started = time.perf_counter()
        translation = _Translation(circuit, request.noise)
        sampler = translation.program.compile_sampler(seed=request.seed)
        shots = translation.read(sampler.sample_bit_packed(request.shots))
        return sampled_result(self, circuit, request, shots, sample_term=_sample_term, started=started)


def create_engine(capabilities: Capabilities) -> StimEngine:
    """Create the engine for the catalogue."""
    return StimEngine(capabilities)


def _sample_term(circuit: Circuit, term: PauliTerm, request: RunRequest) -> SampledTerm:
    """Measure a product of Pauli matrices at the end of a circuit, without an error of its own."""
    program = _Translation(drop_last_measurements(circuit), request.noise).program
    program.append_from_stim_program_text(f"MPP {'*'.join(f'{pauli}{qubit}' for qubit, pauli in term.paulis)}")
    packed = program.compile_sampler(seed=request.seed).sample_bit_packed(request.shots)
    last = program.num_measurements - 1
    ones = int(np.count_nonzero(packed[:, last // 8] >> last % 8 & 1))
    return SampledTerm(1 - 2 * ones / request.shots)


class _Translation:
    """A circuit in Stim's language, and the way from its record of measurements to our classical bits."""

    def __init__(self, circuit: Circuit, noise: NoiseModel | None) -> None:
        # Lines of text: Stim reads them far more quickly than it takes calls.
        self._lines: list[str] = []
        self._noise = noise or NoiseModel()
        self._measured = 0
        # The place in the record of what each classical bit holds now.
        self._record_of_clbit: dict[int, int] = {}
        for op in circuit.operations:
            self._translate(op)
        self.program = stim.Circuit("\n".join(self._lines))

    def _translate(self, op: Operation) -> None:
        """Add one operation."""
        if op.gate == BARRIER:
            return
        if op.gate == MEASURE:
            self._record_of_clbit[op.clbits[0]] = self._measured
            self._measured += 1
            self._add("M", op.qubits, self._noise.readout_0_to_1)
        elif op.gate == RESET:
            self._add("R", op.qubits)
        elif op.conditions:
            self._translate_conditional(op)
        else:
            for named in name_clifford(op):
                self._add(_NAMES[named.gate], named.qubits)
            self._add_noise(op.qubits)

    def _add(self, name: str, targets: tuple[int, ...], argument: float = 0.0) -> None:
        """Add an instruction of Stim's."""
        chance = f"({argument!r})" if argument else ""
        self._lines.append(f"{name}{chance} {' '.join(map(str, targets))}")

    def _translate_conditional(self, op: Operation) -> None:
        """Add a Pauli gate controlled by a bit; a bit that was never written is 0."""
        condition = op.conditions[0]
        holds = (condition.holds(0), condition.holds(1 << condition.clbits[0]))
        record = self._record_of_clbit.get(condition.clbits[0])
        if holds[0]:
            self._add(_NAMES[op.gate], op.qubits)
        if record is not None and holds[0] != holds[1]:
            self._lines.append(f"{_FEED_FORWARD[op.gate]} rec[{record - self._measured}] {op.qubits[0]}")

    def _add_noise(self, qubits: tuple[int, ...]) -> None:
        """Add what goes wrong after a gate."""
        if len(qubits) == 1 and self._noise.depolarizing:
            self._add("DEPOLARIZE1", qubits, self._noise.depolarizing)
        elif len(qubits) > 1 and self._noise.two_qubit_depolarizing:
            self._add("DEPOLARIZE2", qubits, self._noise.two_qubit_depolarizing)

    def read(self, packed: np.ndarray) -> list[int]:
        """Read the classical bits of every shot from the packed record."""
        if self._is_in_order():
            # A row's bytes are little-endian, as our bits are.
            return [int.from_bytes(row, "little") for row in packed]
        clbits = max(self._record_of_clbit) + 1
        columns = np.zeros((len(packed), clbits), dtype=np.uint8)
        for clbit, record in self._record_of_clbit.items():
            columns[:, clbit] = packed[:, record // 8] >> record % 8 & 1
        return [int.from_bytes(row, "little") for row in np.packbits(columns, axis=1, bitorder="little")]

    def _is_in_order(self) -> bool:
        """Tell whether the record is the classical bits, one for one."""
        return len(self._record_of_clbit) == self._measured and all(
            clbit == record for clbit, record in self._record_of_clbit.items()
        )
