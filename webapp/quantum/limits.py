"""The sizes beyond which a circuit or a run is refused, whatever the caller may pay."""

# A plain circuit may be wider than a state vector allows: Clifford circuits of hundreds of qubits are simulated easily.
MAX_CIRCUIT_QUBITS = 1_024
MAX_CIRCUIT_CLBITS = 1_024
MAX_CIRCUIT_OPERATIONS = 200_000

# What the state vector backends accept unless an operator says otherwise: 24 qubits are 256 MiB of amplitudes.
DEFAULT_MAX_QUBITS = 24

MAX_SHOTS = 100_000

# The largest integer that every JSON reader keeps exact (RFC 8259, section 6).
MAX_SEED = 2**53 - 1

# Each observable may cost a run of its own, and each of its terms as well.
MAX_OBSERVABLES = 64
MAX_OBSERVABLE_TERMS = 256

# 2^12 amplitudes are 160 KB of JSON.
MAX_STATEVECTOR_QUBITS = 12
