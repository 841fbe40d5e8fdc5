"""JSON in requests' bodies: read, or refused where it cannot be read or could be read in two ways."""

import json
from typing import Any, NoReturn

from flask import request

from webapp.core.errors import LengthRequiredError, UpcubeError
from webapp.core.json_numbers import read_float
from webapp.core.large_work import LARGE_BYTES, begin_large_work

MAX_INTEGER_DIGITS = 1000


class MalformedJsonError(UpcubeError):
    """The body is not JSON that we can read."""

    status = 400
    code = "malformed_json"


class BodyTooLargeError(UpcubeError):
    """The body is larger than this service reads."""

    status = 413
    code = "body_too_large"


class NotJsonError(UpcubeError):
    """The body is not declared to be JSON."""

    status = 415
    code = "not_json"


def read_json_object(*, max_bytes: int) -> dict[str, Any]:
    """Read the request's body as a JSON object."""
    body = read_json(max_bytes=max_bytes)
    if not isinstance(body, dict):
        raise MalformedJsonError("The body must be a JSON object: { … }.")
    return body


def read_json(*, max_bytes: int) -> Any:  # noqa: ANN401 - any JSON value
    """Read the request's body as JSON; a large one when its turn has come. Raises LargeWorkBusyError."""
    data = read_whole_body(check_body_headers(max_bytes=max_bytes))
    # Its sender, who may be slow, takes no turn: only what is made of it does.
    if len(data) > LARGE_BYTES:
        begin_large_work()
    try:
        return parse_json(data)
    except RecursionError as error:
        raise MalformedJsonError("The JSON is nested too deeply.") from error
    except UnicodeDecodeError as error:
        raise MalformedJsonError(f"The body is not UTF-8: see byte {error.start}.") from error
    except UnicodeEncodeError as error:
        raise MalformedJsonError("The body has half of a surrogate pair, which is not a character.") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise MalformedJsonError(f"The body is not JSON: {error.msg} at {where}.") from error
    except ValueError as error:
        raise MalformedJsonError(f"The body is not JSON that can be read: {error}") from error


def read_whole_body(length: int) -> bytes:
    """Read the body, and refuse one that ends early: Granian passes it on when the client hangs up in the middle."""
    data = request.get_data(cache=False)
    if len(data) != length:
        raise MalformedJsonError(f"The body ends after {len(data)} bytes; Content-Length announces more.")
    return data


def parse_json(data: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Parse UTF-8 JSON as RFC 8259 has it and RFC 7493 narrows it: what two readers could read in two ways is refused.

    A byte order mark is skipped. Raises ValueError or RecursionError.
    """
    value = STRICT_JSON.decode(data.decode("utf-8-sig"))
    # Raises UnicodeEncodeError for half of a surrogate pair. Only an escape can have brought one.
    if b"\\u" in data:
        json.dumps(value, ensure_ascii=False).encode()
    return value


def read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object that has a name twice: which of the two counts is up to each reader."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("an object has the same name twice.")
    return members


def read_integer(digits: str) -> int:
    """Refuse an integer so long that reading it would be work."""
    if len(digits) > MAX_INTEGER_DIGITS:
        raise ValueError(f"a number has more than {MAX_INTEGER_DIGITS} digits.")
    return int(digits)


def refuse_constant(name: str) -> NoReturn:
    """Refuse a constant that JSON does not have."""
    raise ValueError(f"{name} is not a JSON value.")


STRICT_JSON = json.JSONDecoder(
    object_pairs_hook=read_object, parse_int=read_integer, parse_float=read_float, parse_constant=refuse_constant
)


def check_body_headers(*, max_bytes: int) -> int:
    """Refuse a body by its headers, before any of it is read; give its length."""
    length = request.content_length
    if length is None:
        raise LengthRequiredError
    if length > max_bytes:
        raise BodyTooLargeError(f"The body has {length} bytes; at most {max_bytes} are read.")
    if not request.is_json:
        raise NotJsonError("Send JSON, with Content-Type: application/json.")
    if length == 0:
        raise MalformedJsonError("The body is empty; send a JSON object: { … }.")
    return length
