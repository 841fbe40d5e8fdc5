"""Observables: weighted sums of Pauli strings, whose mean a run can give."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from webapp.core.errors import FieldError, InvalidFieldsError
from webapp.quantum.limits import MAX_CIRCUIT_QUBITS, MAX_OBSERVABLE_TERMS, MAX_OBSERVABLES

_ALLOWED = 'a string of I, X, Y and Z such as "ZZI" (qubit 0 rightmost), or an object such as {"XX": 0.5, "ZZ": -1}'
_MAX_LABEL_CHARACTERS = 120
# Sums of terms, and the squares that errors are made of, stay finite.
_MAX_COEFFICIENT = 1e15
# Made once: a body full of long strings would hold a million of these pairs.
_PAULIS = {pauli: tuple((qubit, pauli) for qubit in range(MAX_CIRCUIT_QUBITS)) for pauli in "XYZ"}


@dataclass(frozen=True, slots=True)
class PauliTerm:
    """A coefficient times a product of Pauli matrices: `paulis` are (qubit, "X" | "Y" | "Z"), identities left out."""

    coefficient: float
    paulis: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Observable:
    """A sum of terms, and the name under which its value is given. `width` is the longest string's length."""

    label: str
    terms: tuple[PauliTerm, ...]
    width: int


def read_observable(given: str | Mapping[str, float], *, path: str = "observables") -> Observable:
    """Read one observable. As in counts, the rightmost character is qubit 0. Raises InvalidFieldsError."""
    weights = {given: 1.0} if isinstance(given, str) else given
    if not 1 <= len(weights) <= MAX_OBSERVABLE_TERMS:
        raise InvalidFieldsError([FieldError(path, f"It has {len(weights)} terms.", f"1 to {MAX_OBSERVABLE_TERMS}")])
    wrong = any(not _is_pauli_string(text) or not _is_number(weight) for text, weight in weights.items())
    if wrong:
        raise InvalidFieldsError([FieldError(path, "It is not a sum of Pauli strings.", _ALLOWED)])
    terms = tuple(PauliTerm(float(weight), _read_paulis(text)) for text, weight in weights.items())
    return Observable(_write_label(weights), terms, max(map(len, weights)))


def read_observables(given: Sequence[str | Mapping[str, float]]) -> tuple[Observable, ...]:
    """Read several. Raises InvalidFieldsError with every wrong one."""
    if len(given) > MAX_OBSERVABLES:
        raise InvalidFieldsError([FieldError("observables", "There are too many.", f"at most {MAX_OBSERVABLES}")])
    read: list[Observable] = []
    wrong: list[FieldError] = []
    for index, item in enumerate(given):
        try:
            read.append(read_observable(item, path=f"observables[{index}]"))
        except InvalidFieldsError as error:
            wrong.extend(error.details)
    if wrong:
        raise InvalidFieldsError(wrong)
    return tuple(read)


def _is_pauli_string(text: object) -> bool:
    """Tell whether a text names one Pauli matrix for each of its qubits."""
    return isinstance(text, str) and 1 <= len(text) <= MAX_CIRCUIT_QUBITS and set(text) <= set("IXYZ")


def _is_number(value: object) -> bool:
    """Tell whether a value is a number of a size that can be computed with."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _MAX_COEFFICIENT


def _read_paulis(text: str) -> tuple[tuple[int, str], ...]:
    """Read a string from its right end, where qubit 0 is."""
    return tuple(_PAULIS[pauli][qubit] for qubit, pauli in enumerate(reversed(text)) if pauli != "I")


def _write_label(weights: Mapping[str, float]) -> str:
    """Write the observable in one line: "ZZ", or "0.5*XX - 1*ZZ", cut where nobody would read on."""
    if len(weights) == 1 and next(iter(weights.values())) == 1:
        label = next(iter(weights))
    else:
        label = " + ".join(f"{weight:g}*{text}" for text, weight in weights.items()).replace("+ -", "- ")
    return label if len(label) <= _MAX_LABEL_CHARACTERS else label[: _MAX_LABEL_CHARACTERS - 1] + "…"
