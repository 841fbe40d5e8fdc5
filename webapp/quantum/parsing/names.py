"""What the names of a program stand for, and which block they belong to."""

from dataclasses import dataclass

from webapp.quantum.parsing.errors import Mistake
from webapp.quantum.parsing.expressions import Number


@dataclass(frozen=True, slots=True)
class QubitRegister:
    """Qubits of the circuit; `is_single` for a qubit declared without a size."""

    qubits: tuple[int, ...]
    is_single: bool = False


@dataclass(frozen=True, slots=True)
class BitRegister:
    """Classical bits of the circuit; `is_single` for a bit declared without a size."""

    clbits: tuple[int, ...]
    is_single: bool = False


@dataclass(slots=True)
class Value:
    """A number that is known while the program is unrolled. `width` is the bits of its type, None where unsaid.

    Or what some bits of the circuit read at a moment, where there are `clbits`; `read_at` says after how many
    measurements.
    """

    number: Number
    type: str
    is_constant: bool
    width: int | None = None
    clbits: tuple[int, ...] = ()
    read_at: int = 0


Meaning = QubitRegister | BitRegister | Value


class Names:
    """Names in nested blocks; an inner one hides an outer one."""

    def __init__(self) -> None:
        self._scopes: list[dict[str, Meaning]] = [{}]

    @property
    def is_outermost(self) -> bool:
        """Tell whether no block is open."""
        return len(self._scopes) == 1

    def open(self) -> None:
        """Enter a block."""
        self._scopes.append({})

    def close(self) -> None:
        """Leave the innermost block, and forget its names."""
        self._scopes.pop()

    def declare(self, name: str, meaning: Meaning, position: int) -> None:
        """Give a name a meaning in the innermost block. Raises Mistake if it has one there."""
        if name in self._scopes[-1]:
            raise Mistake(f"the name {name[:40]!r} is already taken.", position)
        self._scopes[-1][name] = meaning

    def get(self, name: str, position: int) -> Meaning:
        """Get what a name stands for. Raises Mistake."""
        for scope in reversed(self._scopes):
            meaning = scope.get(name)
            if meaning is not None:
                return meaning
        raise Mistake(f"there is no {name[:40]!r}; declare it first.", position)
