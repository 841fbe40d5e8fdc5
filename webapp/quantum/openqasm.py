"""Write circuits as OpenQASM 3 source (https://openqasm.com/versions/3.0)."""

import math
from dataclasses import replace

from webapp.quantum.circuits import Circuit, Condition, Operation
from webapp.quantum.gates import MEASURE

# Version 3 rather than 2: its standard library has swap, cp and cswap, which the original qelib1.inc of version 2 lacks
# and which readers then disagree about. What stdgates.inc lacks in turn is defined here, up to a global phase.
_DEFINITIONS = {
    "sxdg": "gate sxdg a { h a; sdg a; h a; }",
    "rxx": "gate rxx(theta) a, b { h a; h b; cx a, b; rz(theta) b; cx a, b; h a; h b; }",
    "ryy": "gate ryy(theta) a, b { sx a; sx b; cx a, b; rz(theta) b; cx a, b; inv @ sx a; inv @ sx b; }",
    "rzz": "gate rzz(theta) a, b { cx a, b; rz(theta) b; cx a, b; }",
}

# The one gate that OpenQASM 3 has built in rather than in its library.
_SPELLINGS = {"u": "U"}

_DENOMINATORS = (1, 2, 3, 4, 5, 6, *(2**power for power in range(3, 17)))


def to_openqasm3(circuit: Circuit) -> str:
    """Write a checked circuit as an OpenQASM 3 program that every reader of the standard library understands."""
    used = {op.gate for op in circuit.operations}
    lines = ["OPENQASM 3.0;", 'include "stdgates.inc";']
    lines += [definition for name, definition in _DEFINITIONS.items() if name in used]
    lines.append(f"qubit[{circuit.qubits}] q;")
    if circuit.clbits:
        lines.append(f"bit[{circuit.clbits}] c;")
    lines += [_statement(op) for op in circuit.operations]
    return "\n".join(lines) + "\n"


def _statement(op: Operation) -> str:
    """Write one operation."""
    for condition in op.conditions:
        # One `if` around the other: all of them must hold.
        return f"if ({_condition(condition)}) {{ {_statement(replace(op, conditions=op.conditions[1:]))} }}"
    qubits = ", ".join(f"q[{qubit}]" for qubit in op.qubits)
    if op.gate == MEASURE:
        return f"c[{op.clbits[0]}] = measure {qubits};"
    angles = f"({', '.join(map(_angle, op.parameters))})" if op.parameters else ""
    return f"{_spell(op)}{angles} {qubits};"


def _spell(op: Operation) -> str:
    """Write the name of a gate, with its controls where it has any number of them."""
    if op.gate == "mcp":
        return f"ctrl({len(op.qubits) - 1}) @ p" if len(op.qubits) > 1 else "p"
    return _SPELLINGS.get(op.gate, op.gate)


def _condition(condition: Condition) -> str:
    """Write a condition bit by bit: the bits of a condition need not stand together in a register."""
    values = [
        " && ".join(f"{'' if value >> place & 1 else '!'}c[{clbit}]" for place, clbit in enumerate(condition.clbits))
        for value in sorted(condition.values)
    ]
    written = " || ".join(f"({value})" for value in values) or "false"
    return f"!({written})" if condition.is_negated else written


def _angle(radians: float) -> str:
    """Write an angle as a fraction of pi where that is exactly the same number, and in digits otherwise."""
    for denominator in _DENOMINATORS:
        numerator = round(radians * denominator / math.pi) if abs(radians) <= 2 * math.pi else 0
        if numerator and numerator * math.pi / denominator == radians:
            factor = {1: "", -1: "-"}.get(numerator, f"{numerator}*")
            return f"{factor}pi" + (f"/{denominator}" if denominator > 1 else "")
    return repr(float(radians))
