"""Write programs.json: programs that others' exporters wrote, with the distributions that Qiskit gives their circuits.

Run by hand, in an environment of its own with qiskit, mqt.bench and cirq-core, when the corpus should grow:
`python tests/quantum/corpus/generate.py`. The programs are those exporters' words, the distributions Qiskit's state
vectors of the circuit objects that were exported, so that no parser stands between.
"""

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cirq
import numpy as np
from mqt.bench import benchmarks, get_benchmark_alg
from qiskit import QuantumCircuit, qasm2, qasm3, transpile
from qiskit.circuit import library
from qiskit.quantum_info import Statevector

PATH = Path(__file__).with_name("programs.json")
SIZES = (4, 6)
MAX_SOURCE = 12_000
BASIS = ["u", "p", "cx", "cp", "h", "x", "swap", "ccx"]


def main() -> None:
    """Write the corpus."""
    warnings.filterwarnings("ignore")
    programs = [*list_mqt(), *list_qiskit(), *list_cirq()]
    PATH.write_text("[\n" + ",\n".join(json.dumps(program, ensure_ascii=False) for program in programs) + "\n]\n")
    print(len(programs), PATH.stat().st_size)  # noqa: T201 - a tool for the terminal


def list_mqt() -> Iterator[dict[str, Any]]:
    """List mqt.bench's algorithms."""
    for name in benchmarks.get_available_benchmark_names():
        for size in SIZES:
            try:
                circuit = get_benchmark_alg(name, size)
            except (ValueError, AssertionError):
                continue
            yield from export(f"mqt.bench {name} {size}", circuit)


def list_qiskit() -> Iterator[dict[str, Any]]:
    """List circuits of Qiskit's library, but for those that its exporters write wrongly, such as `pauli(XYZ) q;`."""
    made = {
        "QFTGate": library.QFTGate(4),
        "MCXGate": library.MCXGate(4),
        "MCPhaseGate": library.MCPhaseGate(0.7, 3),
        "RZXGate": library.RZXGate(0.3),
        "XXPlusYYGate": library.XXPlusYYGate(0.3, 0.2),
        "XXMinusYYGate": library.XXMinusYYGate(0.3, 0.2),
        "ECRGate": library.ECRGate(),
        "iSwapGate": library.iSwapGate(),
        "DCXGate": library.DCXGate(),
        "CUGate": library.CUGate(0.1, 0.2, 0.3, 0.4),
        "CSXGate": library.CSXGate(),
        "RC3XGate": library.RC3XGate(),
        "C3SXGate": library.C3SXGate(),
        "RGate": library.RGate(0.3, 0.4),
        "HalfAdder": library.HalfAdderGate(2),
        "Permutation": library.PermutationGate([2, 0, 1]),
    }
    for name, gate in made.items():
        circuit = QuantumCircuit(gate.num_qubits)
        for qubit in range(gate.num_qubits):
            circuit.ry(0.4 + qubit, qubit)
        circuit.append(gate, range(gate.num_qubits))
        circuit.append(library.HGate(), [0])
        circuit.measure_all()
        yield from export(f"qiskit {name}", circuit)


def list_cirq() -> Iterator[dict[str, Any]]:
    """List random circuits of Cirq's, in its own OpenQASM."""
    for seed in range(8):
        qubits = cirq.LineQubit.range(4)
        circuit = cirq.testing.random_circuit(qubits, n_moments=8, op_density=0.7, random_state=seed)
        circuit = cirq.Circuit(cirq.decompose(circuit)) + cirq.Circuit(cirq.measure(*qubits, key="m"))
        state = circuit[:-1].final_state_vector(qubit_order=qubits)
        # Cirq's first qubit is the highest bit; its measurement into m[0] is our lowest.
        distribution = {}
        for index, amplitude in enumerate(state):
            bits = f"{index:04b}"[::-1]
            distribution[bits] = float(np.abs(amplitude) ** 2)
        for version in ("2.0", "3.0"):
            source = cirq.qasm(circuit, args=cirq.QasmArgs(version=version)) if version == "2.0" else None
            source = source or circuit.to_qasm(version=version)
            yield {
                "name": f"cirq random {seed}",
                "format": f"openqasm{version[0]}",
                "source": source,
                "distribution": _round(distribution),
            }


def export(name: str, circuit: QuantumCircuit) -> Iterator[dict[str, Any]]:
    """Export a circuit in both languages, if its exporter can and it has an exact distribution."""
    distribution = _distribution(circuit)
    if distribution is None:
        return
    for version, module in ((2, qasm2), (3, qasm3)):
        try:
            source = module.dumps(circuit)
        except (TypeError, qasm2.QASM2ExportError, qasm3.QASM3ExporterError):
            continue
        if len(source) <= MAX_SOURCE:
            yield {"name": name, "format": f"openqasm{version}", "source": source, "distribution": distribution}


def _distribution(circuit: QuantumCircuit) -> dict[str, float] | None:
    """Compute the distribution of a circuit that measures at its end; None for others."""
    plain = transpile(circuit, basis_gates=BASIS, optimization_level=0)
    unitary = QuantumCircuit(plain.num_qubits)
    qubit_of: dict[int, int] = {}
    for item in plain.data:
        qubits = [plain.find_bit(qubit).index for qubit in item.qubits]
        if item.operation.name == "measure":
            qubit_of[plain.find_bit(item.clbits[0]).index] = qubits[0]
        elif item.operation.name == "barrier":
            continue
        elif item.operation.name not in BASIS or set(qubits) & set(qubit_of.values()):
            return None
        else:
            unitary.append(item.operation, qubits)
    # A program that measures nothing has all of its qubits measured.
    qubit_of = qubit_of or {qubit: qubit for qubit in range(plain.num_qubits)}
    clbits = plain.num_clbits or plain.num_qubits
    totals: dict[str, float] = {}
    for index, probability in enumerate(Statevector(unitary).probabilities()):
        value = sum((index >> qubit & 1) << clbit for clbit, qubit in qubit_of.items())
        bits = f"{value:0{clbits}b}"
        totals[bits] = totals.get(bits, 0.0) + float(probability)
    return _round(totals)


def _round(distribution: dict[str, float]) -> dict[str, float]:
    """Leave out what is zero, and digits that say nothing."""
    return {bits: round(value, 9) for bits, value in sorted(distribution.items()) if value > 1e-9}


if __name__ == "__main__":
    main()
