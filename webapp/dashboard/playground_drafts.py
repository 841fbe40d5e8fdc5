"""What somebody has typed in the playground, and the body of `POST /jobs` that it comes to."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from webapp.core.errors import FieldError, InvalidFieldsError
from webapp.core.text import has_control_characters
from webapp.dashboard.playground_options import (
    input_errors,
    noise_errors,
    observable_errors,
    read_inputs,
    read_observable_lines,
    write_inputs,
    write_observables,
)
from webapp.jobs.models import Job
from webapp.jobs.plans import JobRequest
from webapp.quantum.backends import DEFAULT_BACKEND_ID, list_backends
from webapp.quantum.limits import MAX_SEED, MAX_SHOTS
from webapp.quantum.programs import PROGRAM_FORMATS
from webapp.quantum.templates import TemplateNotFoundError, get_template
from webapp.quantum.templates.base import Template
from webapp.quantum.templates.parameters import Parameter, ParameterValue

TEMPLATE = "template"
# What a circuit can be made from, as the tabs name it.
KINDS = {TEMPLATE: "Template", "openqasm3": "OpenQASM 3", "openqasm2": "OpenQASM 2", "ionq.circuit.v1": "IonQ JSON"}

# What can be asked for besides the counts.
OPTIONS = frozenset({"noise", "observables"})

FIRST_TEMPLATE_ID = "bell-state"
DEFAULT_SHOTS = 1024
MAX_NAME_LENGTH = 80
# No number that we take is longer, and reading a longer one would be work.
MAX_NUMBER_LENGTH = 40

EXAMPLES = {
    "openqasm3": """OPENQASM 3.0;
include "stdgates.inc";

qubit[3] q;
bit[3] c;

// Three qubits that always agree.
h q[0];
for int i in [0:1] {
  cx q[i], q[i + 1];
}
c = measure q;
""",
    "openqasm2": """OPENQASM 2.0;
include "qelib1.inc";

qreg q[3];
creg c[3];

// Three qubits that always agree.
h q[0];
cx q[0], q[1];
cx q[1], q[2];
measure q -> c;
""",
    "ionq.circuit.v1": """{
  "qubits": 3,
  "circuit": [
    {"gate": "h", "target": 0},
    {"gate": "cnot", "control": 0, "target": 1},
    {"gate": "cnot", "control": 1, "target": 2}
  ]
}
""",
}


@dataclass(frozen=True)
class Draft:
    """The form as it was typed. `parameters` are the template's by name; `source` is the program in place of one."""

    kind: str
    template: Template
    parameters: Mapping[str, str]
    source: str
    shots: str = str(DEFAULT_SHOTS)
    seed: str = ""
    backend_id: str = DEFAULT_BACKEND_ID
    name: str = ""
    # The name of a preset, or empty.
    noise: str = ""
    # One in each line; inputs are those of an OpenQASM 3 program.
    observables: str = ""
    inputs: str = ""

    @classmethod
    def start(cls, kind: str, template_id: str) -> Self:
        """Give the form as it is found: a template with its defaults, or the example of a format."""
        kind = kind if kind in KINDS else TEMPLATE
        template = find_template(template_id)
        return cls(kind, template, write_defaults(template), EXAMPLES.get(kind, ""))

    @classmethod
    def read(cls, form: Mapping[str, str]) -> Self:
        """Read the form as it was sent. Parameters that were typed for another template are left."""
        kind = form.get("kind", "")
        template = find_template(form.get("template", ""))
        parameters = write_defaults(template)
        if form.get("parameters_of") == template.id:
            parameters = {name: form.get(f"parameters.{name}", "").strip() for name in parameters}
        return cls(
            kind=kind if kind in KINDS else TEMPLATE,
            template=template,
            parameters=parameters,
            # As browsers send a text area's lines.
            source=form.get("source", "").replace("\r\n", "\n"),
            shots=form.get("shots", "").strip(),
            seed=form.get("seed", "").strip(),
            backend_id=form.get("backend", DEFAULT_BACKEND_ID),
            name=form.get("name", "").strip(),
            noise=form.get("noise", ""),
            observables=form.get("observables", "").replace("\r\n", "\n"),
            inputs=form.get("inputs", "").replace("\r\n", "\n"),
        )

    @classmethod
    def of_job(cls, job: Job, *, seed: str = "") -> Self:
        """Give the form that a job could have come from."""
        template = find_template(job.template_id or "")
        parameters = write_defaults(template)
        if template.id == job.template_id:
            parameters |= {name: str(value) for name, value in job.parameters.items() if name in parameters}
        source = job.circuit["source"] if job.circuit else ""
        return cls(
            kind=job.circuit["format"] if job.circuit else TEMPLATE,
            template=template,
            parameters=parameters,
            source=source if isinstance(source, str) else json.dumps(source, indent=2),
            shots=str(job.shots),
            seed=seed,
            backend_id=job.backend,
            name=job.name or "",
            noise=job.options.get("noise") or "",
            observables=write_observables(job.options.get("observables") or ()),
            inputs=write_inputs(job.parameters) if job.circuit else "",
        )

    @property
    def takes_inputs(self) -> bool:
        """Tell whether programs of this kind may have inputs."""
        return self.kind == "openqasm3"

    @property
    def has_options(self) -> bool:
        """Tell whether anything is asked for besides the counts."""
        return bool(self.noise or self.observables.strip() or (self.takes_inputs and self.inputs.strip()))

    def make_body(self) -> dict[str, Any]:
        """Make the body that the API would take. Raises InvalidFieldsError with every wrong field."""
        wrong = list(self._find_wrong())
        if wrong:
            raise InvalidFieldsError(wrong)
        body: dict[str, Any] = {}
        if self.kind in PROGRAM_FORMATS:
            body["circuit"] = {"format": self.kind, "source": self.source}
            if self.takes_inputs and (inputs := read_inputs(self.inputs)):
                body["parameters"] = inputs
        else:
            body["templateId"] = self.template.id
            if changed := self._changed_parameters():
                body["parameters"] = changed
        body["shots"] = int(self.shots)
        optional = {
            "seed": int(self.seed) if self.seed else None,
            "backend": None if self.backend_id == DEFAULT_BACKEND_ID else self.backend_id,
            "name": self.name or None,
            "noise": self.noise or None,
            "observables": read_observable_lines(self.observables) or None,
        }
        return body | {name: value for name, value in optional.items() if value is not None}

    def _find_wrong(self) -> Iterator[FieldError]:
        """Give what is wrong with the fields."""
        if self.kind == TEMPLATE:
            try:
                self.template.check_parameters(self._changed_parameters())
            except InvalidFieldsError as error:
                yield from error.details
        elif not self.source.strip():
            yield FieldError("source", "Paste a program.", "a program")
        if not is_whole(self.shots, 1, MAX_SHOTS):
            allowed = f"a whole number from 1 to {MAX_SHOTS}"
            yield FieldError("shots", f"It must be {allowed}.", allowed)
        if self.seed and not is_whole(self.seed, 0, MAX_SEED):
            allowed = f"a whole number from 0 to {MAX_SEED}"
            yield FieldError("seed", f"It must be {allowed}, or empty.", allowed)
        if self.backend_id not in {backend.id for backend in list_backends()}:
            yield FieldError("backend", "There is no such backend.", "one of the list")
        if len(self.name) > MAX_NAME_LENGTH or has_control_characters(self.name):
            allowed = f"up to {MAX_NAME_LENGTH} characters without control characters"
            yield FieldError("name", f"It must have {allowed}.", allowed)
        yield from noise_errors(self.noise)
        yield from observable_errors(self.observables)
        if self.takes_inputs:
            yield from input_errors(self.inputs)

    def _changed_parameters(self) -> dict[str, ParameterValue]:
        """Give the parameters that were typed and are not the default, in their types as far as they can be read."""
        given = {each.name: read_value(each, self.parameters[each.name]) for each in self.template.parameters}
        defaults = {each.name: each.default for each in self.template.parameters}
        return {name: value for name, value in given.items() if value not in {"", defaults[name]}}


def make_request(body: Mapping[str, Any]) -> JobRequest:
    """Put a body into the operation's terms."""
    return JobRequest(
        template_id=body.get("templateId"),
        circuit=body.get("circuit"),
        circuits=None,
        parameters=body.get("parameters", {}),
        options={name: body[name] for name in OPTIONS if name in body},
        backend_id=body.get("backend", DEFAULT_BACKEND_ID),
        shots=body["shots"],
        seed=body.get("seed"),
        name=body.get("name"),
    )


def fits_playground(job: Job) -> bool:
    """Tell whether the form can hold all that a job asked for."""
    is_single = job.engines is None
    return is_single and job.options.keys() <= OPTIONS and isinstance(job.options.get("noise", ""), str)


def find_template(template_id: str) -> Template:
    """Give the template, or the first to meet where there is no such."""
    try:
        return get_template(template_id)
    except TemplateNotFoundError:
        return get_template(FIRST_TEMPLATE_ID)


def write_defaults(template: Template) -> dict[str, str]:
    """Write the template's defaults as they stand in the form."""
    return {parameter.name: str(parameter.default) for parameter in template.parameters}


def read_value(parameter: Parameter, text: str) -> ParameterValue:
    """Read a parameter's value; text that is no such number stays text, which its check refuses."""
    if parameter.type == "string" or len(text) > MAX_NUMBER_LENGTH:
        return text
    try:
        return int(text) if parameter.type == "integer" else float(text)
    except ValueError:
        return text


def is_whole(text: str, minimum: int, maximum: int) -> bool:
    """Tell whether text is a whole number in a range."""
    return text.isascii() and text.isdecimal() and len(text) <= MAX_NUMBER_LENGTH and minimum <= int(text) <= maximum
