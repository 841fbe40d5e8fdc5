"""The body of POST /jobs: read, checked, and every wrong field in it named at once."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, WithJsonSchema

from webapp.api.json_bodies import read_json_object
from webapp.api.schemas import (
    MAX_PATH_CHARACTERS,
    Credits,
    Schema,
    field_errors,
    refuse,
    refuse_control_characters,
)
from webapp.core.errors import MAX_DETAILS, FieldError, InvalidFieldsError
from webapp.jobs.tasks import MAX_CIRCUITS
from webapp.quantum.backends import DEFAULT_BACKEND_ID
from webapp.quantum.limits import MAX_OBSERVABLES, MAX_SEED, MAX_SHOTS
from webapp.quantum.noise import NOISE_NAMES, PRESETS, read_noise
from webapp.quantum.observables import read_observables
from webapp.quantum.templates import TemplateNotFoundError, get_template

# What a job can be of.
SUBJECTS = ("templateId", "circuit", "circuits")

TEXT_OR_OBJECT = WithJsonSchema({"type": ["string", "object"]})
TEXT_OBJECT_OR_NULL = WithJsonSchema({"type": ["string", "object", "null"]})


def check_text_or_object(value: object) -> object:
    """Let through text and objects."""
    if not isinstance(value, str | dict):
        raise ValueError("It must be a string or an object.")  # noqa: TRY004 - pydantic reports ValueError
    return value


def check_optional(value: object) -> object:
    """Let through text, objects and null."""
    return None if value is None else check_text_or_object(value)


# What the sender of a job writes on it, on one line.
MAX_TAGS = 16
MAX_NOTES = 20
Tag = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(refuse_control_characters)]
Name = Annotated[str, Field(min_length=1, max_length=40), AfterValidator(refuse_control_characters)]
Note = Annotated[str, Field(max_length=200), AfterValidator(refuse_control_characters)]


def refuse_many_notes(value: object) -> object:
    """Refuse an object with too many members before each of them is looked at.

    Of a mebibyte of wrong ones, pydantic made 50 MB of errors, and let no other thread go on for 0.13 s.
    """
    if isinstance(value, dict) and len(value) > MAX_NOTES:
        raise ValueError(f"It must have at most {MAX_NOTES} elements.")
    return value


def is_finite(value: float) -> bool:
    """Tell whether a number is one that a float can hold."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def drop_repeated(tags: list[str]) -> list[str]:
    """Drop what is there twice: it is there."""
    return list(dict.fromkeys(tags))


class CircuitBody(Schema):
    """A program."""

    format: Literal["openqasm2", "openqasm3", "ionq.circuit.v1"] = Field(
        description="openqasm2, openqasm3 or ionq.circuit.v1"
    )
    source: Annotated[Any, AfterValidator(check_text_or_object), TEXT_OR_OBJECT] = Field(
        description="the program: OpenQASM as a string, IonQ's format as an object or its text"
    )


class JobBody(Schema):
    """The body of POST /jobs: a template or circuits. Descriptions say what is allowed; refusals repeat them."""

    template_id: str | None = Field(default=None, description="the id of a template: see GET /templates")
    circuit: CircuitBody | None = Field(
        default=None,
        description="in place of a template, an object: format (openqasm2, openqasm3 or ionq.circuit.v1) and source",
    )
    circuits: list[CircuitBody] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_CIRCUITS,
        description=f"in place of a template, a list of 1 to {MAX_CIRCUITS} circuits to run as one job",
    )
    shots: int = Field(ge=1, le=MAX_SHOTS, description=f"a whole number from 1 to {MAX_SHOTS}")
    backend: str = Field(default=DEFAULT_BACKEND_ID, description="the id of a backend: see GET /backends")
    name: Annotated[str, AfterValidator(refuse_control_characters)] | None = Field(
        default=None, min_length=1, max_length=80, description="1 to 80 characters without control characters"
    )
    tags: Annotated[list[Tag], AfterValidator(drop_repeated)] = Field(
        default_factory=list,
        max_length=MAX_TAGS,
        description=f"at most {MAX_TAGS} texts of 1 to 64 characters",
    )
    metadata: Annotated[dict[Name, Note], BeforeValidator(refuse_many_notes)] = Field(
        default_factory=dict,
        max_length=MAX_NOTES,
        description=f"an object: at most {MAX_NOTES} names of 1 to 40 characters with texts of at most 200",
    )
    parameters: dict[str, Any] = Field(
        default_factory=dict,
        description="an object: parameters of the template, or inputs of the program, by name; lists make a sweep",
    )
    seed: int | None = Field(default=None, ge=0, le=MAX_SEED, description=f"a whole number from 0 to {MAX_SEED}")
    noise: Annotated[Any, AfterValidator(check_optional), TEXT_OBJECT_OR_NULL] = Field(
        default=None,
        description=f"the name of a preset ({', '.join(PRESETS)}), "
        f"or an object of probabilities: {', '.join(NOISE_NAMES)}",
    )
    observables: list[Annotated[Any, AfterValidator(check_text_or_object), TEXT_OR_OBJECT]] = Field(
        default_factory=list,
        max_length=MAX_OBSERVABLES,
        description=f'a list of up to {MAX_OBSERVABLES} sums of Pauli strings: "ZZI", or {{"XX": 0.5, "ZZ": -1}}',
    )
    memory: bool = Field(default=False, description="true for the bitstring of every shot, in order")
    statevector: bool = Field(default=False, description="true for the amplitudes before the last measurements")
    max_credits: Credits | None = Field(default=None, description='decimal credits in a string, such as "0.5"')
    confirm: str | None = Field(default=None, max_length=500, description="the quoteId that confirms the price")

    @property
    def options(self) -> dict[str, Any]:
        """Give what is asked for besides the counts."""
        asked = {
            "noise": self.noise,
            "observables": self.observables,
            "memory": self.memory,
            "statevector": self.statevector,
        }
        return {name: value for name, value in asked.items() if value}


def read_job_body(*, max_bytes: int) -> JobBody:
    """Read the body of POST /jobs; what is wrong in any field, or inside it, is refused together."""
    body = read_json_object(max_bytes=max_bytes)
    wrong: list[FieldError] = []
    try:
        read = JobBody.model_validate(body)
    except ValidationError as error:
        wrong = field_errors(JobBody, error.errors())
    wrong += [*subject_errors(body), *inner_errors(body)]
    if wrong:
        refuse(wrong)
    return read


def subject_errors(body: Mapping[str, Any]) -> Sequence[FieldError]:
    """Say whether it is told what to run, once: a template, a circuit, or circuits."""
    given = [name for name in SUBJECTS if body.get(name) is not None]
    if not given:
        allowed = "the id of a template; or in its place circuit, or circuits"
        return [FieldError("templateId", "This field is required.", allowed)]
    message = "Send only one of templateId, circuit and circuits."
    return [FieldError(name, message, "one of the three") for name in given[1:]]


def inner_errors(body: Mapping[str, Any]) -> Sequence[FieldError]:
    """Give what is wrong inside of fields, as far as their types let them be read."""
    wrong = list(parameter_errors(body))
    checks: tuple[tuple[str, type | tuple[type, ...], Callable[[Any], object]], ...] = (
        ("noise", (str, dict), read_noise),
        ("observables", list, read_known_observables),
    )
    for name, types, read in checks:
        if isinstance(body.get(name), types):
            try:
                read(body[name])
            except InvalidFieldsError as error:
                wrong += error.details
    return wrong


def read_known_observables(given: Sequence[Any]) -> None:
    """Read the observables, unless their number or a type was refused already. Raises InvalidFieldsError."""
    if len(given) <= MAX_OBSERVABLES and all(isinstance(item, str | dict) for item in given):
        read_observables(given)


def parameter_errors(body: Mapping[str, Any]) -> Sequence[FieldError]:
    """Give what is wrong with the parameters, as far as it can be told what they are of."""
    parameters = body.get("parameters", {})
    if not isinstance(parameters, dict):
        return ()
    if parameters and body.get("circuits") is not None:
        message = "The circuits of a batch take no parameters. For a sweep, send one circuit and lists of parameters."
        return [FieldError("parameters", message, "nothing, beside circuits")]
    lists = {name: value for name, value in parameters.items() if isinstance(value, list)}
    # A mebibyte of lists has half a million values, and no answer has room for so many errors.
    return list_errors(lists) or list(islice(value_errors(body.get("templateId"), parameters), MAX_DETAILS + 1))


def list_errors(lists: Mapping[str, Sequence[object]]) -> list[FieldError]:
    """Give which lists of a sweep have another length than the first, or one that none may have."""
    allowed = f"1 to {MAX_CIRCUITS} values"
    wrong = [
        FieldError(f"parameters.{name[:MAX_PATH_CHARACTERS]}", f"The list has {len(values)} values.", allowed)
        for name, values in lists.items()
        if not 1 <= len(values) <= MAX_CIRCUITS
    ]
    if wrong or not lists:
        return wrong
    first, length = next((name, len(values)) for name, values in lists.items())
    of_first = f"that of {first[:MAX_PATH_CHARACTERS]} has {length}: a sweep takes one of each"
    return [
        FieldError(
            f"parameters.{name[:MAX_PATH_CHARACTERS]}",
            f"The list has {len(values)} values and {of_first}.",
            f"{length} values",
        )
        for name, values in lists.items()
        if len(values) != length
    ]


def value_errors(template_id: object, parameters: Mapping[str, Any]) -> Iterator[FieldError]:
    """Give which values are wrong, each by itself, those in lists with their places."""
    check = input_errors if template_id is None else template_errors
    yield from check(template_id, {name: value for name, value in parameters.items() if not isinstance(value, list)})
    for name, values in parameters.items():
        if isinstance(values, list):
            for place, value in enumerate(values):
                for error in check(template_id, {name: value}):
                    yield replace(error, path=f"{error.path}[{place}]")


def input_errors(_: object, inputs: Mapping[str, object]) -> Iterator[FieldError]:
    """Give which inputs of a program are no numbers."""
    for name, value in inputs.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not is_finite(value):
            path = f"parameters.{name[:MAX_PATH_CHARACTERS]}"
            yield FieldError(path, "An input of a program is a number.", "a finite number")


def template_errors(template_id: object, parameters: Mapping[str, object]) -> Sequence[FieldError]:
    """Give which parameters the template does not take, as far as the template can be told."""
    try:
        if isinstance(template_id, str):
            get_template(template_id).check_parameters(parameters)
    except InvalidFieldsError as error:
        return error.details
    except TemplateNotFoundError:
        return ()
    return ()
