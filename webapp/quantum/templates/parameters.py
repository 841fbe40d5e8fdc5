"""The parameters of a template: their kinds and bounds, and the check of what a user gives for them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from webapp.core.errors import MAX_DETAILS, FieldError, InvalidFieldsError

ParameterType = Literal["integer", "number", "string"]
ParameterValue = int | float | str

# An unknown name is repeated to the user, but only so much of it.
_MAX_NAME_CHARACTERS = 64


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a template.

    `minimum` and `maximum` bound a number, or the length of a string. `choices` are the only values allowed, where
    there are any, and `alphabet` the only characters.
    """

    name: str
    type: ParameterType
    default: ParameterValue
    description: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[ParameterValue, ...] = ()
    alphabet: str | None = None

    @property
    def allowed(self) -> str:
        """Say in words which values are right."""
        if self.choices:
            return "one of " + ", ".join(str(choice) for choice in self.choices)
        between = f"{self.minimum} to {self.maximum}" if self.minimum != self.maximum else f"exactly {self.minimum}"
        if self.type == "string":
            return f"{between} characters, each one of {self.alphabet}"
        return f"{'a whole number' if self.type == 'integer' else 'a number'} from {between}"

    def find_problem(self, value: object) -> str | None:
        """Say what is wrong with a value, or None. The value itself is never repeated: it may be huge."""
        if not self._has_type(value):
            return f"It must be of the type {self.type}."
        if self.choices:
            return None if value in self.choices else "It is not one of the choices."
        if isinstance(value, str):
            return self._find_string_problem(value)
        return None if self._is_within(value) else "It is out of range."

    def _has_type(self, value: object) -> bool:
        """Tell whether the value has the parameter's type; true and false are not numbers, though Python says so."""
        types: dict[ParameterType, type | tuple[type, ...]] = {"integer": int, "number": (int, float), "string": str}
        return isinstance(value, types[self.type]) and not isinstance(value, bool)

    def _find_string_problem(self, value: str) -> str | None:
        """Say what is wrong with a string, or None."""
        if not self._is_within(len(value)):
            return "It is too short or too long."
        if self.alphabet is not None and not set(value) <= set(self.alphabet):
            return "It has a character that is not allowed."
        return None

    def _is_within(self, value: object) -> bool:
        """Tell whether a number is within the bounds, ends included; NaN is within nothing."""
        # Python compares an integer of any size with a float exactly, so no huge integer is converted here.
        return (
            isinstance(value, int | float)
            and (self.minimum is None or value >= self.minimum)
            and (self.maximum is None or value <= self.maximum)
        )


def integer(name: str, default: int, minimum: int, maximum: int, description: str) -> Parameter:
    """Make a whole number."""
    return Parameter(name, "integer", default, description, minimum, maximum)


def angle(name: str, default: float, description: str, *, maximum: float = 2 * math.pi) -> Parameter:
    """Make an angle in radians, from 0."""
    return Parameter(name, "number", default, f"{description} In radians.", 0.0, maximum)


def bitstring(name: str, default: str, minimum: int, maximum: int, description: str) -> Parameter:
    """Make a string of bits, bit 0 rightmost as in results."""
    described = f"{description} Bit 0 is the rightmost character."
    return Parameter(name, "string", default, described, minimum, maximum, alphabet="01")


def choice(name: str, choices: Sequence[ParameterValue], description: str) -> Parameter:
    """Make a choice of several strings or whole numbers; the first is the default."""
    kind: ParameterType = "string" if isinstance(choices[0], str) else "integer"
    return Parameter(name, kind, choices[0], description, choices=tuple(choices))


class ParameterValues:
    """The checked value of every parameter of one template, read by type."""

    def __init__(self, values: Mapping[str, ParameterValue]) -> None:
        self._values = dict(values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ParameterValues) and self._values == other._values

    def __hash__(self) -> int:
        return hash(tuple(self._values.items()))

    def integer(self, name: str) -> int:
        """Get a whole number."""
        value = self._values[name]
        if not isinstance(value, int):
            raise TypeError(f"{name} is no whole number")
        return value

    def number(self, name: str) -> float:
        """Get a number."""
        return float(self._values[name])

    def string(self, name: str) -> str:
        """Get a string."""
        return str(self._values[name])

    def as_dict(self) -> dict[str, ParameterValue]:
        """Get all of them by name, to store beside a job."""
        return dict(self._values)


def check_parameters(parameters: Sequence[Parameter], given: Mapping[str, object]) -> ParameterValues:
    """Check what a user gave and fill in the defaults. Raises InvalidFieldsError with every wrong parameter at once."""
    known = {parameter.name: parameter for parameter in parameters}
    # Of a mebibyte of unknown names, no answer has room for more.
    strangers = islice((name for name in given if name not in known), MAX_DETAILS + 1)
    wrong = [_unknown(name, known) for name in strangers]
    values: dict[str, ParameterValue] = {}
    for name, parameter in known.items():
        value = given.get(name, parameter.default)
        problem = parameter.find_problem(value)
        if problem is not None:
            wrong.append(FieldError(f"parameters.{name}", problem, parameter.allowed))
        elif isinstance(value, int | float | str):
            values[name] = value
    if wrong:
        raise InvalidFieldsError(wrong)
    return ParameterValues(values)


def _unknown(name: object, known: Mapping[str, Parameter]) -> FieldError:
    """Say that there is no such parameter, and which there are."""
    allowed = f"only {', '.join(known)}" if known else "this template takes no parameters"
    path = f"parameters.{str(name)[:_MAX_NAME_CHARACTERS]}"
    return FieldError(path, "There is no such parameter.", allowed, tuple(known))
