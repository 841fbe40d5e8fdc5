"""What readers raise: where the program is wrong, and what would be right."""

from webapp.core.errors import UpcubeError

TARGET = "circuit.source"


class InvalidProgramError(UpcubeError):
    """The program cannot be read; `line` and `column` count from 1, and are 0 where there is no place to name."""

    status = 422
    code = "invalid_program"

    def __init__(self, message: str, *, line: int = 0, column: int = 0) -> None:
        where = f"Line {line}, column {column}: " if line else ""
        super().__init__(where + message, target=TARGET, extra={"line": line, "column": column} if line else None)
        self.line = line
        self.column = column


class ProgramTooLargeError(UpcubeError):
    """The program goes beyond a limit on its size, as written or as expanded; the message names the limit."""

    status = 422
    code = "program_too_large"

    def __init__(self, message: str) -> None:
        super().__init__(message, target=TARGET)


class Mistake(Exception):  # noqa: N818 - only between this folder's modules; users see InvalidProgramError
    """What is wrong at a position of the source, before the position is turned into a line and a column."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.message = message
        self.position = position


def locate(mistake: Mistake, source: str) -> InvalidProgramError:
    """Turn a position into the line and column that editors show."""
    position = min(mistake.position, len(source))
    line = source.count("\n", 0, position) + 1
    column = position - (source.rfind("\n", 0, position) + 1) + 1
    return InvalidProgramError(mistake.message, line=line, column=column)
