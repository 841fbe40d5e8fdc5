"""From what simulators sample to what users read: bitstrings with classical bit 0 rightmost."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from webapp.quantum.circuits import Circuit
from webapp.quantum.gates import MEASURE

_Amount = TypeVar("_Amount", int, float)

# What is computed in doubles is known to about 15 places; digits beyond are rounding noise, and unsightly.
_DECIMALS = 14


# Outcomes are read in pieces of so many qubits: tables of 256 numbers stay small, however wide the circuit is.
_QUBITS_PER_TABLE = 8


class Readout:
    """The way from an outcome, whose bit i is qubit i, to the classical bits of a circuit that ends by measuring."""

    def __init__(self, circuit: Circuit) -> None:
        self._clbits = circuit.clbits
        # A bit that is written twice keeps the last value.
        qubit_of_clbit = {op.clbits[0]: op.qubits[0] for op in circuit.operations if op.gate == MEASURE}
        self._is_plain = circuit.qubits == circuit.clbits == len(qubit_of_clbit) and all(
            clbit == qubit for clbit, qubit in qubit_of_clbit.items()
        )
        self._tables = [] if self._is_plain else _tabulate(circuit.qubits, qubit_of_clbit)

    def read(self, outcome: int) -> int:
        """Read the classical bits, as a number whose bit i is classical bit i."""
        if self._is_plain:
            return outcome
        bits = 0
        for table in self._tables:
            bits |= table[outcome % len(table)]
            outcome >>= _QUBITS_PER_TABLE
        return bits

    def read_all(self, outcomes: Sequence[int]) -> list[int]:
        """Read many outcomes; each different one is worked out once."""
        if self._is_plain:
            return list(outcomes)
        known = {outcome: self.read(outcome) for outcome in set(outcomes)}
        return [known[outcome] for outcome in outcomes]

    def sum_up(self, outcomes: Iterable[tuple[int, _Amount]]) -> dict[str, _Amount]:
        """Add up what belongs to the same bitstring, in the order of the bitstrings."""
        totals: dict[int, _Amount] = {}
        for outcome, amount in outcomes:
            bits = self.read(outcome)
            totals[bits] = totals[bits] + amount if bits in totals else amount
        return {write_bits(bits, self._clbits): totals[bits] for bits in sorted(totals)}


def _tabulate(qubits: int, qubit_of_clbit: Mapping[int, int]) -> list[list[int]]:
    """Tabulate the classical bits of every value of the first eight qubits, of the next eight, and so on."""
    bits_of_qubit = [0] * qubits
    for clbit, qubit in qubit_of_clbit.items():
        bits_of_qubit[qubit] |= 1 << clbit
    tables = []
    for first in range(0, qubits, _QUBITS_PER_TABLE):
        table = [0]
        for added in bits_of_qubit[first : first + _QUBITS_PER_TABLE]:
            table += [bits | added for bits in table]
        tables.append(table)
    return tables


def write_bits(bits: int, clbits: int) -> str:
    """Write classical bits, bit 0 rightmost."""
    return f"{bits:0{clbits}b}"


def write_shots(shots: Iterable[int], clbits: int) -> list[str]:
    """Write the bitstring of every shot."""
    return [write_bits(bits, clbits) for bits in shots]


def count_shots(shots: Iterable[int], clbits: int) -> dict[str, int]:
    """Count the shots by their bitstring, in the order of the bitstrings."""
    counted = Counter(shots)
    return {write_bits(bits, clbits): counted[bits] for bits in sorted(counted)}


def round_off(value: float) -> float:
    """Drop the digits of a probability or a mean that are rounding noise, and the sign of a zero."""
    return round(value, _DECIMALS) + 0.0
