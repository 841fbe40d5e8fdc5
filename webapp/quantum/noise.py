"""Noise models: what goes wrong at each gate and each readout, with which probability."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Final

from webapp.core.errors import FieldError, InvalidFieldsError
from webapp.core.text import ask_whether_meant

_PROBABILITY = "a number from 0 to 1"


def _is_probability(value: object) -> bool:
    """Tell whether a value is a number from 0 to 1; true is not one."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


@dataclass(frozen=True, slots=True)
class NoiseModel:
    """The probabilities of errors; every one is 0 unless given.

    `depolarizing` is the chance that one of X, Y, Z (each alike) follows a gate on one qubit, and
    `two_qubit_depolarizing` that one of the 15 Pauli pairs follows a gate on two; a gate on more qubits has it on each
    pair of neighbours among the qubits that it names. `amplitude_damping` is the chance that a qubit in 1 falls to 0
    after each gate on it. `readout_0_to_1` and `readout_1_to_0` are the chances that a measurement reports the wrong
    value; the qubit itself is not touched.
    """

    depolarizing: float = 0.0
    two_qubit_depolarizing: float = 0.0
    amplitude_damping: float = 0.0
    readout_0_to_1: float = 0.0
    readout_1_to_0: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no probability. Raises InvalidFieldsError with every wrong field."""
        wrong = [
            FieldError(f"noise.{field.name}", "It is not a probability.", _PROBABILITY)
            for field in fields(self)
            if not _is_probability(getattr(self, field.name))
        ]
        if wrong:
            raise InvalidFieldsError(wrong)

    @property
    def has_gate_errors(self) -> bool:
        """Tell whether anything but the readout can fail."""
        return bool(self.depolarizing or self.two_qubit_depolarizing or self.amplitude_damping)

    @property
    def is_pauli(self) -> bool:
        """Tell whether every error is a random Pauli or a readout that fails alike both ways: what Stim samples."""
        return not self.amplitude_damping and self.readout_0_to_1 == self.readout_1_to_0


# The medians that IBM and IonQ publish for machines of these kinds, rounded: an example to learn from, no promise.
PRESETS: Final[Mapping[str, NoiseModel]] = MappingProxyType(
    {
        "superconducting": NoiseModel(
            depolarizing=0.0003,
            two_qubit_depolarizing=0.005,
            amplitude_damping=0.0005,
            readout_0_to_1=0.008,
            readout_1_to_0=0.015,
        ),
        "trapped-ion": NoiseModel(
            depolarizing=0.0002, two_qubit_depolarizing=0.004, readout_0_to_1=0.003, readout_1_to_0=0.005
        ),
    }
)

# The names that users write, in the style of the API, and the fields that they set.
NOISE_NAMES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "depolarizing": ("depolarizing",),
        "twoQubitDepolarizing": ("two_qubit_depolarizing",),
        "amplitudeDamping": ("amplitude_damping",),
        "readout": ("readout_0_to_1", "readout_1_to_0"),
        "readout0To1": ("readout_0_to_1",),
        "readout1To0": ("readout_1_to_0",),
    }
)


def read_noise(given: str | Mapping[str, object]) -> NoiseModel:
    """Read a preset's name, or an object of probabilities. Raises InvalidFieldsError with every wrong field."""
    if isinstance(given, str):
        if given not in PRESETS:
            raise InvalidFieldsError(
                [
                    FieldError(
                        "noise",
                        f"There is no such preset{ask_whether_meant(given, PRESETS) or '.'}",
                        f"one of {', '.join(PRESETS)}",
                    )
                ]
            )
        return PRESETS[given]
    wrong = [
        FieldError(f"noise.{str(name)[:64]}", *_describe(name))
        for name, value in given.items()
        if name not in NOISE_NAMES or not _is_probability(value)
    ]
    if wrong:
        raise InvalidFieldsError(wrong)
    # `readout` first, so that one direction given besides it wins.
    values = {field: given[name] for name, names in NOISE_NAMES.items() if name in given for field in names}
    return NoiseModel(**{field: float(value) for field, value in values.items() if isinstance(value, int | float)})


def _describe(name: str) -> tuple[str, str, tuple[str, ...]]:
    """Say what is wrong with a member of that name, what would be right, and which names there are if it is none."""
    if name in NOISE_NAMES:
        return "It is not a probability.", _PROBABILITY, ()
    return "There is no such kind of noise.", f"only {', '.join(NOISE_NAMES)}", tuple(NOISE_NAMES)
