"""What the playground's text areas hold besides the circuit: observables and inputs, one in each line."""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from webapp.core.errors import FieldError, InvalidFieldsError
from webapp.quantum.noise import PRESETS, read_noise
from webapp.quantum.observables import read_observables

# As the page names the presets; the empty one is none.
NOISE_LABELS = {"": "None: an ideal machine", **{name: name.replace("-", " ").capitalize() for name in PRESETS}}
# One of several observables, as the API names it.
PLACE = re.compile(r"observables\[(\d+)\]")
# More is no name and no number.
MAX_INPUT_LENGTH = 200


def list_lines(text: str) -> list[tuple[int, str]]:
    """Give the lines that have something in them, with their numbers from 1."""
    return [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def read_line(line: str) -> str | Mapping[str, Any]:
    """Read one observable: a Pauli string, or the JSON object of a sum; what is neither is left to be refused."""
    if line.startswith("{"):
        try:
            found: Any = json.loads(line)
        except (ValueError, RecursionError):
            return line
        if isinstance(found, dict):
            return found
    return line.upper()


def read_observable_lines(text: str) -> list[str | Mapping[str, Any]]:
    """Read the observables as the API takes them."""
    return [read_line(line) for _, line in list_lines(text)]


def read_inputs(text: str) -> dict[str, float]:
    """Read inputs written as `theta = 0.5`, those that are."""
    split = (
        (name.strip(), read_number(value)) for name, _, value in (line.partition("=") for _, line in list_lines(text))
    )
    return {name: value for name, value in split if name and value is not None}


def read_number(text: str) -> float | None:
    """Read a finite number, a whole one as such; None for anything else."""
    text = text.strip()
    try:
        value = int(text) if text.lstrip("+-").isdecimal() and len(text) <= MAX_INPUT_LENGTH else float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def noise_errors(noise: str) -> Iterator[FieldError]:
    """Say what is wrong with the preset."""
    try:
        if noise:
            read_noise(noise)
    except InvalidFieldsError as error:
        yield from error.details


def observable_errors(text: str) -> Iterator[FieldError]:
    """Say which observables are wrong, as the API does."""
    try:
        read_observables(read_observable_lines(text))
    except InvalidFieldsError as error:
        yield from error.details


def input_errors(text: str) -> Iterator[FieldError]:
    """Say which lines are no inputs, and which inputs are given twice."""
    seen: set[str] = set()
    for number, line in list_lines(text):
        name, _, value = (part.strip() for part in line.partition("="))
        if len(line) > MAX_INPUT_LENGTH or not name.isidentifier() or read_number(value) is None:
            allowed = "a name, an equals sign and a number, as in theta = 0.5"
            yield FieldError("inputs", f"Line {number}: expected {allowed}.", allowed)
        elif name in seen:
            yield FieldError("inputs", f"Line {number}: {name} was given before.", "each input once")
        seen.add(name)


def write_observables(given: Sequence[object]) -> str:
    """Write observables as lines."""
    return "\n".join(each if isinstance(each, str) else json.dumps(each) for each in given)


def write_inputs(inputs: Mapping[str, object]) -> str:
    """Write inputs as lines."""
    return "\n".join(f"{name} = {value}" for name, value in inputs.items())


def group_by_field(details: Iterable[FieldError], *, observables: str, has_parameters: bool) -> dict[str, str]:
    """Give each field of the page that is wrong its messages, with the line or the input that each is about."""
    found: dict[str, str] = {}
    for detail in details:
        field, subject = locate(detail.path, observables=observables, has_parameters=has_parameters)
        message = f"{subject}: {detail.message}" if subject else detail.message
        found[field] = f"{found[field]} {message}" if field in found else message
    return found


def locate(path: str, *, observables: str, has_parameters: bool) -> tuple[str, str]:
    """Name the field of the page that an error of the API is about, and what in it."""
    if match := PLACE.fullmatch(path):
        number, _ = list_lines(observables)[int(match[1])]
        return "observables", f"Line {number}"
    if path.partition(".")[0] == "parameters" and not has_parameters:
        return "inputs", path.partition(".")[2]
    return path, ""
