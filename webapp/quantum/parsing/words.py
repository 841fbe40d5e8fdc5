"""The words of each version of OpenQASM that no register, gate, parameter or variable may have for a name."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from webapp.quantum.parsing.expressions import CONSTANTS

_OF_BOTH: Final = frozenset(
    {"OPENQASM", "include", "qreg", "creg", "gate", "opaque", "measure", "reset", "barrier", "if", "pi", "U"}
)

# Version 2: the grammar in the appendix of arXiv:1707.03429. Version 3: https://openqasm.com/grammar, and what is built
# in. Words that begin statements of version 3 are plain names in version 2.
RESERVED: Final[Mapping[int, frozenset[str]]] = MappingProxyType(
    {
        2: _OF_BOTH | {"CX", "sin", "cos", "tan", "exp", "ln", "sqrt"},
        3: _OF_BOTH
        | frozenset(CONSTANTS)
        | {"qubit", "bit", "bool", "int", "uint", "float", "angle", "complex", "array", "void", "duration", "stretch"}
        | {"const", "mutable", "readonly", "input", "output", "let", "gphase", "ctrl", "negctrl", "inv", "pow"}
        | {"for", "in", "while", "else", "end", "break", "continue", "return", "switch", "case", "default"}
        | {"box", "delay", "durationof", "def", "extern", "cal", "defcal", "defcalgrammar", "pragma"},
    }
)
