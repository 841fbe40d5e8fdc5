"""What can go wrong, as classes that carry their HTTP status and code; the edges render them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from webapp.core.text import ask_whether_meant

# A body can have more wrong fields than anybody would read.
MAX_DETAILS = 100


@dataclass(frozen=True)
class FieldError:
    """One wrong field: where it is, what is wrong, and what would be right.

    `known` are the names that there are, where the path ends in one that there is not.
    """

    path: str
    message: str
    allowed: str | None = None
    known: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """Say what is wrong, and which name was probably meant: worked out only for those errors that are shown."""
        name = self.path.rpartition(".")[2].partition("[")[0]
        question = ask_whether_meant(name, self.known)
        return f"{self.message.removesuffix('.')}{question}" if question else self.message


class UpcubeError(Exception):
    """Anything we refuse, in words for the person or program that asked.

    A subclass stands next to the code that raises it. `extra` holds the further members that the contract gives an
    error, such as `required` and `available` on a 402.
    """

    status: int = 500
    code: str = "internal_error"
    # What a page that says so is headed with; None is for what errors of its status have in common.
    heading: str | None = None
    # HTTP header fields that go with the answer.
    headers: Mapping[str, str] = MappingProxyType({})

    def __init__(
        self,
        message: str,
        *,
        target: str | None = None,
        details: Sequence[FieldError] = (),
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.target = target
        self.details = tuple(details)
        self.extra = dict(extra or {})


class InvalidFieldsError(UpcubeError):
    """One or more fields of the request are wrong; `details` holds every one of them."""

    status = 422
    code = "invalid_fields"

    def __init__(self, details: Sequence[FieldError]) -> None:
        count, which = "One field is" if len(details) == 1 else f"{len(details)} fields are", "which"
        if len(details) > MAX_DETAILS:
            # Who looks for them stops there, so nobody knows how many there are.
            count, which = f"More than {MAX_DETAILS} fields are", f"which (the first {MAX_DETAILS})"
        super().__init__(f"{count} wrong; details says {which} and what is allowed.", details=details[:MAX_DETAILS])


class LengthRequiredError(UpcubeError):
    """The body came without Content-Length: a server may cut such a body without a sign."""

    status = 411
    code = "length_required"

    def __init__(self) -> None:
        super().__init__("Send the body with a Content-Length; chunked bodies are not read.")


class NotFoundError(UpcubeError):
    """The thing does not exist, or belongs to somebody else: the two look the same on purpose."""

    status = 404
    code = "not_found"


class StoreAwayError(UpcubeError):
    """SQL or Redis does not answer. Nothing was charged and nothing was lost."""

    status = 503
    code = "store_unavailable"
    headers = MappingProxyType({"Retry-After": "2"})


def find_reason(error: BaseException) -> str:
    """Give the first line of what a store's own library said, for an operator: it may name hosts and users."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
