from hypothesis import given, settings
from hypothesis import strategies as st

from webapp.quantum.circuits import Circuit, measurement
from webapp.quantum.engines.outcomes import Readout, count_shots

_QUIET = settings(database=None, derandomize=True)


@st.composite
def _readings(draw: st.DrawFn) -> tuple[Circuit, list[int]]:
    """Draw a circuit of nothing but measurements, some into the same bits, and outcomes of its qubits."""
    qubits, clbits = draw(st.integers(1, 26)), draw(st.integers(1, 80))
    wires = st.tuples(st.integers(0, qubits - 1), st.integers(0, clbits - 1))
    scrambled = draw(st.lists(wires, max_size=100))
    plain = draw(st.booleans())
    ends = [(qubit, qubit) for qubit in range(qubits)] if plain else scrambled
    circuit = Circuit(qubits, qubits if plain else clbits, tuple(measurement(*each) for each in ends))
    return circuit, draw(st.lists(st.integers(0, (1 << qubits) - 1), max_size=30))


def _read_bit_by_bit(circuit: Circuit, outcome: int) -> int:
    """Read an outcome by the definition: one measurement after the other overwrites its bit."""
    bits = ["0"] * circuit.clbits
    for op in circuit.operations:
        bits[-1 - op.clbits[0]] = str(outcome >> op.qubits[0] & 1)
    return int("".join(bits), 2)


@_QUIET
@given(_readings())
def test_outcomes_are_read_as_one_measurement_after_the_other_would_write_them(
    reading: tuple[Circuit, list[int]],
) -> None:
    circuit, outcomes = reading
    readout = Readout(circuit)
    expected = [_read_bit_by_bit(circuit, outcome) for outcome in outcomes]
    assert [readout.read(outcome) for outcome in outcomes] == expected
    assert readout.read_all(outcomes) == expected
    counts = count_shots(expected, circuit.clbits)
    assert counts == {f"{bits:0{circuit.clbits}b}": expected.count(bits) for bits in expected}
    assert list(counts) == sorted(counts)
    assert readout.sum_up((outcome, 1) for outcome in outcomes) == counts
