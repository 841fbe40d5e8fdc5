"""Programs as users send them, and their reading into plain circuits."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from webapp.quantum.circuits import Circuit
from webapp.quantum.parsing.allowance import Allowance
from webapp.quantum.parsing.errors import InvalidProgramError, Mistake, ProgramTooLargeError, locate
from webapp.quantum.parsing.interpreter import Interpreter
from webapp.quantum.parsing.ionq import read_ionq_circuit
from webapp.quantum.parsing.statements import StatementParser

__all__ = ["PROGRAM_FORMATS", "InvalidProgramError", "Program", "ProgramFormat", "ProgramTooLargeError", "read_program"]

ProgramFormat = Literal["openqasm2", "openqasm3", "ionq.circuit.v1"]

PROGRAM_FORMATS: Final = ("openqasm2", "openqasm3", "ionq.circuit.v1")

_NO_INPUTS: Final[Mapping[str, float]] = MappingProxyType({})


@dataclass(frozen=True)
class Program:
    """A program: text in OpenQASM, an object or its text in IonQ's format."""

    format: ProgramFormat
    source: str | Mapping[str, object]


def read_program(
    program: Program, *, inputs: Mapping[str, float] = _NO_INPUTS, allowance: Allowance | None = None
) -> Circuit:
    """Read a program into a circuit that keeps every rule of `check_circuit`.

    `inputs` are the values of an OpenQASM 3 program's input declarations. A program that measures nothing has all of
    its qubits measured, qubit i into bit i. Classical registers stand one above the other in the order in which they
    are declared. Reading is pure Python within the limits of `limits.py`: no file is opened, nothing is compiled, and
    other threads take their turns. Programs that are read for one job share one `allowance`. Raises
    InvalidProgramError, ProgramTooLargeError, InvalidFieldsError or LargeWorkBusyError.
    """
    allowance = allowance or Allowance()
    if program.format == "ionq.circuit.v1":
        if isinstance(program.source, str):
            allowance.count_source(program.source)
        return read_ionq_circuit(program.source, inputs=inputs, allowance=allowance)
    if not isinstance(program.source, str):
        raise InvalidProgramError("An OpenQASM program is text; this is an object.")
    return _read_openqasm(program.source, 2 if program.format == "openqasm2" else 3, inputs, allowance)


def _read_openqasm(source: str, version: int, inputs: Mapping[str, float], allowance: Allowance) -> Circuit:
    """Read an OpenQASM program, and name the line and column of its first mistake."""
    allowance.count_source(source)
    try:
        return Interpreter(inputs, allowance).run(StatementParser(source, version=version).read_program())
    except Mistake as mistake:
        raise locate(mistake, source) from None
