"""How many errors a noise model adds to a circuit, and how much work they are beside the gates themselves.

The figures are those of the circuits that `aer_circuits` writes; Aer follows random Paulis and damping differently.
"""

from dataclasses import dataclass

from webapp.quantum.circuits import Profile
from webapp.quantum.noise import NoiseModel

# In a density matrix each error is a superoperator: 4 by 4 on one qubit, 16 by 16 on a pair, where the gate before it
# is a matrix of 2 by 2 or 4 by 4 from both sides. A gate on one qubit is fused with its errors into one of those.
_DENSITY_STEPS_PER_SINGLE = 3
_DENSITY_STEPS_PER_PAIR = 4
_DENSITY_STEPS_PER_DAMPING = 2

# In a state vector that belongs to one shot gates are not fused, which makes each of them as long as three that are.
_SHOT_STEPS_PER_GATE = 3
# What damping does depends on the state, so Aer works it out as it goes, and then every other error as well; random
# Paulis by themselves it draws beforehand, and hardly any of them is drawn.
_SHOT_STEPS_PER_DAMPING = 3
_SHOT_STEPS_PER_SINGLE = 3
_SHOT_STEPS_PER_PAIR = 6

# Drawing beforehand whether a gate fails, and how, takes Aer as long as so many gates on few qubits.
_DRAWS_PER_GATE = 10


@dataclass(frozen=True, slots=True)
class GateErrors:
    """What may go wrong in a circuit: random Paulis on a qubit or on a pair of them, and the damping of a qubit."""

    gates: int = 0
    singles: int = 0
    pairs: int = 0
    dampings: int = 0

    @property
    def total(self) -> int:
        """How many errors the circuit is written with, each handed over like a gate."""
        return self.singles + self.pairs + self.dampings

    @property
    def density_steps(self) -> int:
        """The steps that they add to those of the gates, in a density matrix."""
        return (
            _DENSITY_STEPS_PER_SINGLE * self.singles
            + _DENSITY_STEPS_PER_PAIR * self.pairs
            + _DENSITY_STEPS_PER_DAMPING * self.dampings
        )

    @property
    def shot_steps(self) -> int:
        """The steps that they add to those of the gates, in a state vector that each shot has for itself."""
        if not self.total:
            return 0
        unfused = (_SHOT_STEPS_PER_GATE - 1) * self.gates
        if not self.dampings:
            return unfused
        return (
            unfused
            + _SHOT_STEPS_PER_SINGLE * self.singles
            + _SHOT_STEPS_PER_PAIR * self.pairs
            + _SHOT_STEPS_PER_DAMPING * self.dampings
        )

    @property
    def draws_per_gate(self) -> int:
        """As how many gates on few qubits each gate of a single shot counts."""
        return _DRAWS_PER_GATE if self.total and not self.dampings else 1


def count_errors(profile: Profile, noise: NoiseModel | None) -> GateErrors:
    """Count the errors that a noise model adds to a circuit; none where no gate of it can fail."""
    if noise is None:
        return GateErrors()
    # A gate on more qubits than two has a pair for each two neighbours.
    pairs = max(profile.two_qubit_gates, profile.gate_qubits - profile.gates)
    touched = max(profile.gates + profile.two_qubit_gates, profile.gate_qubits)
    return GateErrors(
        gates=profile.gates,
        singles=max(0, profile.gates - profile.two_qubit_gates) if noise.depolarizing else 0,
        pairs=pairs if noise.two_qubit_depolarizing else 0,
        dampings=touched if noise.amplitude_damping else 0,
    )
