"""What each method of simulation cannot do, whatever it would cost: clauses for a sentence that says why not."""

from typing import Final

from webapp.quantum.circuits import Profile
from webapp.quantum.limits import MAX_STATEVECTOR_QUBITS
from webapp.quantum.noise import NoiseModel

# A bond of dimension 2^8 costs 16 million steps a gate; beyond, a state vector is quicker or nothing is.
MAX_ENTANGLEMENT_BITS: Final = 8


def find_obstacle(method: str, profile: Profile, *, noise: NoiseModel | None, wants_statevector: bool) -> str | None:
    """Say why a method cannot run this at all, or None."""
    if wants_statevector and (method not in {"qulacs", "aer_statevector"} or noise or profile.is_dynamic):
        return (
            "a statevector comes from a state vector engine, without noise and with measurements only at the end, "
            f"for up to {MAX_STATEVECTOR_QUBITS} qubits"
        )
    if noise is not None and method in {"qulacs", "qsim"}:
        return "it simulates no noise"
    if method == "qsim" and profile.is_dynamic:
        return "it measures only at the end"
    if method in {"stim", "aer_stabilizer"}:
        return _find_clifford_obstacle(method, profile, noise)
    if method == "aer_matrix_product_state":
        return _find_tensor_obstacle(profile, noise)
    return None


def _find_clifford_obstacle(method: str, profile: Profile, noise: NoiseModel | None) -> str | None:
    """Say why a stabilizer simulator cannot run this, or None."""
    if not profile.is_clifford:
        return "the circuit has gates other than Clifford gates"
    if noise is not None and not noise.is_pauli and (method == "stim" or noise.amplitude_damping):
        return "it simulates only noise that is depolarizing, with a readout that fails alike both ways"
    if method == "stim" and not profile.has_only_pauli_feed_forward:
        return "conditions act on other gates than X, Y and Z, or on more than one bit"
    if method == "stim" and profile.conditional_operations and noise is not None and noise.has_gate_errors:
        return "it does not simulate noise on conditional gates"
    return None


def _find_tensor_obstacle(profile: Profile, noise: NoiseModel | None) -> str | None:
    """Say why a matrix product state cannot be used, or None."""
    if noise is not None:
        return "it simulates no noise here"
    if profile.widest_gate > 3:  # noqa: PLR2004 - Aer's matrix product states know gates on up to three qubits
        return "it has no gates on more than three qubits"
    if profile.entanglement_bits > MAX_ENTANGLEMENT_BITS:
        return f"the qubits may entangle too much: 2^{profile.entanglement_bits} terms across a cut"
    return None
