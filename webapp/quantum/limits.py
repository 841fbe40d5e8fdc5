"""The sizes beyond which a circuit or a run is refused, whatever the caller may pay."""

# A plain circuit may be wider than a state vector allows: Clifford circuits of hundreds of qubits are simulated easily.
MAX_CIRCUIT_QUBITS = 1_024
MAX_CIRCUIT_CLBITS = 1_024
MAX_CIRCUIT_OPERATIONS = 200_000

MAX_SHOTS = 100_000

# The largest integer that every JSON reader keeps exact (RFC 8259, section 6).
MAX_SEED = 2**53 - 1

# Each observable may cost a run of its own, and each of its terms as well.
MAX_OBSERVABLES = 64
MAX_OBSERVABLE_TERMS = 256

# 2^12 amplitudes are 160 KB of JSON.
MAX_STATEVECTOR_QUBITS = 12

# A program as text, and what its reader keeps in memory of gate definitions and loop bodies at any moment.
MAX_SOURCE_BYTES = 1 << 20
MAX_SYNTAX_NODES = 200_000

# How deep expressions, blocks and gate definitions may lie in each other: far more than people write, far less than
# the interpreter's stack.
MAX_EXPRESSION_DEPTH = 40
MAX_EXPRESSION_OPERATORS = 250
MAX_BLOCK_DEPTH = 20
MAX_GATE_DEPTH = 60

# Every value of the bits in a computed condition is tried, once; a register as it is may have any width.
MAX_COMPUTED_BITS = 10
MAX_SWITCH_VALUES = 1 << MAX_COMPUTED_BITS

# Statements, loop turns and calls of gates while a program is unrolled.
MAX_PROGRAM_STEPS = 600_000

# The qubits that all operations of a program name, and the bits that their conditions read, counted each time.
MAX_PROGRAM_WIRES = 1_000_000
