"""The gates of qelib1.inc and stdgates.inc that engines do not know, and those that exporters expect besides.

The definitions are those of arXiv:1707.03429, of OpenQASM 3's stdgates.inc, and of Qiskit's circuit library.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from itertools import chain
from types import MappingProxyType
from typing import Final

from webapp.core.text import find_meant
from webapp.quantum.parsing.expressions import Name, Number
from webapp.quantum.parsing.gate_calls import PLAIN_GATES, Gate, define_gate
from webapp.quantum.parsing.statements import StatementParser
from webapp.quantum.parsing.syntax import GateDefinition

_SOURCE = """
gate cu(theta, phi, lambda, gamma) c, t { p(gamma) c; ctrl @ u(theta, phi, lambda) c, t; }
gate cu3(theta, phi, lambda) c, t { ctrl @ u(theta, phi, lambda) c, t; }
gate csx c, t { ctrl @ sx c, t; }
gate csxdg c, t { ctrl @ sxdg c, t; }
gate cs c, t { cp(pi/2) c, t; }
gate csdg c, t { cp(-pi/2) c, t; }
gate ccz a, b, c { ctrl @ cz a, b, c; }
gate c3x a, b, c, d { ctrl @ ccx a, b, c, d; }
gate c4x a, b, c, d, e { ctrl(2) @ ccx a, b, c, d, e; }
gate c3sqrtx a, b, c, d { ctrl(3) @ sx a, b, c, d; }
gate rzx(theta) a, b { h b; rzz(theta) a, b; h b; }
gate r(theta, phi) a { u(theta, phi - pi/2, pi/2 - phi) a; }
gate iswap a, b { s a; s b; h a; cx a, b; cx b, a; h b; }
gate dcx a, b { cx a, b; cx b, a; }
gate ecr a, b { rzx(pi/4) a, b; x a; rzx(-pi/4) a, b; }
gate rccx a, b, c {
  h c; t c; cx b, c; tdg c; cx a, c; t c; cx b, c; tdg c; h c;
}
gate rc3x a, b, c, d {
  h d; t d; cx c, d; tdg d; h d; cx a, d; t d; cx b, d; tdg d; cx a, d; t d; cx b, d; tdg d;
  h d; t d; cx c, d; tdg d; h d;
}
"""

# What other languages and services call these gates.
_OTHER_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "cnot": "cx",
        "not": "x",
        "i": "id",
        "si": "sdg",
        "ti": "tdg",
        "v": "sx",
        "vi": "sxdg",
        "toffoli": "ccx",
        "ccnot": "ccx",
        "fredkin": "cswap",
        "hadamard": "h",
        "phaseshift": "p",
        "cphaseshift": "cp",
        "xx": "rxx",
        "yy": "ryy",
        "zz": "rzz",
    }
)
# What a statement may begin with instead.
_WORDS: Final = ("qubit", "bit", "input", "include", "measure", "reset", "barrier", "gate")


@cache
def get_library() -> dict[str, Gate]:
    """Get every gate that a program may call without defining it."""
    gates = dict(PLAIN_GATES)

    def find(name: str, _position: int) -> Gate:
        return gates[name]

    def look_up(name: Name) -> Number:
        raise KeyError(name.name)

    for statement in StatementParser(_SOURCE, version=3).read_program():
        if isinstance(statement, GateDefinition):
            gates[statement.name] = define_gate(statement, find, look_up)
    return gates


def find_meant_gate(name: str, defined: Iterable[str]) -> str | None:
    """Find the gate, or the word, that an unknown one was probably meant to be."""
    return _OTHER_NAMES.get(name.lower()) or find_meant(name, chain(get_library(), _WORDS, defined))
