"""The work itself, as one would write it: Qulacs runs a Bell state and its shots are counted."""

from collections import Counter

from qulacs import QuantumCircuit, QuantumState

# Of RQ, for whoever has a worker run it.
QUEUE_NAME = "bench"
QUBITS = 2


def run_bell(shots: int) -> dict[str, int]:
    """Give the counts of so many shots."""
    circuit = QuantumCircuit(QUBITS)
    circuit.add_H_gate(0)
    circuit.add_CNOT_gate(0, 1)
    state = QuantumState(QUBITS)
    circuit.update_quantum_state(state)
    return {format(outcome, "02b"): number for outcome, number in Counter(state.sampling(shots)).items()}
