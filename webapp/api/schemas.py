"""Request bodies and queries: read, checked, and every wrong field named at once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any, Literal, NoReturn, TypeVar, cast, get_args

from flask import request
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from webapp.api.json_bodies import read_json_object
from webapp.core.errors import MAX_DETAILS, FieldError, InvalidFieldsError
from webapp.core.large_work import large_work_in_turn
from webapp.core.money import InvalidAmountError, parse_credits
from webapp.core.text import count_of, has_control_characters
from webapp.hooks import get_principal
from webapp.jobs.models import JobStatus

MAX_PAGE = 100
DEFAULT_PAGE = 20
MAX_COUNT_DIGITS = 9
# A year of usage by the hour is 8,784 lines.
MAX_USAGE_DAYS = 366
# How much of an unknown field's name is repeated.
MAX_PATH_CHARACTERS = 100


def read_amount(value: object) -> int:
    """Read decimal credits, written as a string so that no float is involved, as micro-credits."""
    if not isinstance(value, str):
        raise ValueError('It must be a string of decimal credits such as "0.5".')  # noqa: TRY004 - pydantic reports ValueError
    try:
        return parse_credits(value)
    except InvalidAmountError as error:
        raise ValueError(str(error)) from error


def read_count(text: str) -> int:
    """Read a whole number from a query, where everything is text."""
    if not (text.isascii() and text.isdecimal() and len(text) <= MAX_COUNT_DIGITS):
        raise ValueError("It must be a whole number.")
    return int(text)


def refuse_control_characters(value: str) -> str:
    """Refuse text that cannot be stored or shown on one line."""
    if has_control_characters(value):
        raise ValueError("It must have no control characters.")
    return value


def read_moment(text: str) -> datetime:
    """Read a day or a moment in a query; what has no zone is in UTC."""
    try:
        moment = datetime.fromisoformat(text)
        return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"It must be {MOMENT_ALLOWED}.") from error


MOMENT_ALLOWED = "a day or a moment such as 2026-01-31 or 2026-01-31T09:00:00Z"
Moment = Annotated[datetime, BeforeValidator(read_moment), WithJsonSchema({"type": "string"})]

# Decimal credits in a string, as micro-credits for us.
Credits = Annotated[
    int, BeforeValidator(read_amount), WithJsonSchema({"type": "string", "pattern": r"^[0-9]+(\.[0-9]{1,6})?$"})
]


class Schema(BaseModel):
    """A body or query with camelCase names, nothing unknown, and no conversion between types."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def pass_over_many_strangers(cls, members: Any) -> Any:  # noqa: ANN401 - any JSON value
        """Leave out the unknown members that no answer has room for.

        Of a mebibyte of them, pydantic made a hundred megabytes of errors, and let no other thread go on for 0.4 s.
        """
        if not isinstance(members, dict) or len(members) <= MAX_DETAILS:
            return members
        known = {field.alias for field in cls.model_fields.values()}
        strangers = islice((name for name in members if name not in known), MAX_DETAILS + 1)
        return {name: members[name] for name in (*(known & members.keys()), *strangers)}


class PageQuery(Schema):
    """How much of a list to give."""

    limit: Annotated[int, BeforeValidator(read_count)] = Field(
        default=DEFAULT_PAGE, ge=1, le=MAX_PAGE, description=f"a whole number from 1 to {MAX_PAGE}"
    )


class CreditsQuery(PageQuery):
    """The query of GET /credits."""

    cursor: str | None = Field(
        default=None, pattern=r"^tr_[0-9a-z]{26}$", description="the nextCursor of the page before"
    )


class JobListQuery(PageQuery):
    """The query of GET /jobs."""

    cursor: str | None = Field(
        default=None, pattern=r"^job_[0-9a-z]{26}$", description="the nextCursor of the page before"
    )
    status: JobStatus | None = Field(default=None, strict=False, description=", ".join(JobStatus))
    backend: Annotated[str, AfterValidator(refuse_control_characters)] | None = Field(
        default=None, description="the id of a backend"
    )
    tag: Annotated[str, AfterValidator(refuse_control_characters)] | None = Field(
        default=None, description="a tag that the jobs have"
    )


class UsageQuery(Schema):
    """The query of GET /usage."""

    from_: Moment | None = Field(default=None, alias="from", description=MOMENT_ALLOWED)
    to: Moment | None = Field(default=None, description=MOMENT_ALLOWED)
    group_by: Literal["key", "day", "hour", "endpoint", "backend"] = Field(
        default="day", description="key, day, hour, endpoint or backend"
    )


SchemaType = TypeVar("SchemaType", bound=Schema)
View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class HeaderField:
    """A header field that a view reads."""

    name: str
    description: str
    example: str


def takes(
    *, body: type[Schema] | None = None, query: type[Schema] | None = None, headers: Sequence[HeaderField] = ()
) -> Callable[[View], View]:
    """Declare, for the OpenAPI document, what a view reads."""

    def decorate(view: View) -> View:
        cast("Any", view).body_schema = body
        cast("Any", view).query_schema = query
        cast("Any", view).header_fields = headers
        return view

    return decorate


def answers(
    successes: Mapping[int, str], *, shape: type | None = None, conflict: str | None = None
) -> Callable[[View], View]:
    """Declare, for the OpenAPI document, with which statuses a view succeeds, and what a 409 means where it has one.

    A view that writes its answer's text itself, and so does not return its shape, declares that too.
    """

    def decorate(view: View) -> View:
        cast("Any", view).successes = successes
        cast("Any", view).shape = shape
        cast("Any", view).conflict = conflict
        return view

    return decorate


def read_body(schema: type[SchemaType], *, max_bytes: int) -> SchemaType:
    """Read the body as this schema has it."""
    with large_work_in_turn(get_principal().organisation_id):
        body = read_json_object(max_bytes=max_bytes)
        try:
            return schema.model_validate(body)
        except ValidationError as error:
            refuse(field_errors(schema, error.errors()))


def read_query(schema: type[SchemaType]) -> SchemaType:
    """Read the query string, of which a repeated field's first value counts."""
    try:
        return schema.model_validate(request.args.to_dict())
    except ValidationError as error:
        refuse(field_errors(schema, error.errors()))


def refuse(details: Sequence[FieldError]) -> NoReturn:
    """Raise the 422 that names these fields."""
    raise InvalidFieldsError(details)


def field_errors(schema: type[Schema], errors: Sequence[ErrorDetails]) -> list[FieldError]:
    """Put pydantic's findings into ours; what was sent is never repeated, but for the names of fields."""
    return [
        FieldError(
            path=write_path(error["loc"][:-1] if is_of_name(error) else error["loc"])[:MAX_PATH_CHARACTERS],
            message=describe(error).replace("It ", "Its name ", 1) if is_of_name(error) else describe(error),
            allowed=find_allowed(schema, error["loc"]),
            known=find_known(schema, error),
        )
        for error in errors
    ]


def is_of_name(error: ErrorDetails) -> bool:
    """Tell whether it is the name of an object's member that is wrong, and not its value."""
    return len(error["loc"]) > 2 and error["loc"][-1] == "[key]"  # noqa: PLR2004 - field, name, and pydantic's mark


def write_path(location: Sequence[int | str]) -> str:
    """Write where a field is: circuits[1].format."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).removeprefix(".")


def find_allowed(schema: type[Schema], location: Sequence[int | str]) -> str | None:
    """Say what is right there: what the field's description says, or that of the field around it."""
    owner = find_schema(schema, location[:-1])
    fields = fields_of(owner) if owner else {}
    last = str(location[-1])
    if last in fields:
        return fields[last].description
    if owner is not None and isinstance(location[-1], str):
        return f"only {', '.join(fields)}"
    return find_allowed(schema, location[:-1]) if len(location) > 1 else None


def find_known(schema: type[Schema], error: ErrorDetails) -> tuple[str, ...]:
    """Give the fields that there are where one was sent that there is not."""
    owner = find_schema(schema, error["loc"][:-1]) if error["type"] == "extra_forbidden" else None
    return tuple(fields_of(owner)) if owner else ()


def find_schema(schema: type[Schema], location: Sequence[int | str]) -> type[Schema] | None:
    """Find the schema of the object at a place; None where it is no object of ours."""
    found: type[Schema] | None = schema
    for part in location:
        if found is not None and isinstance(part, str):
            field = fields_of(found).get(part)
            found = find_schema_in(field.annotation) if field else None
    return found


def find_schema_in(annotation: object) -> type[Schema] | None:
    """Find the schema in a field's type, such as that of a list or of what may be null."""
    if isinstance(annotation, type) and issubclass(annotation, Schema):
        return annotation
    return next(filter(None, map(find_schema_in, get_args(annotation))), None)


def fields_of(schema: type[Schema]) -> dict[str, FieldInfo]:
    """Give a schema's fields by the names that are sent."""
    return {field.alias or name: field for name, field in schema.model_fields.items()}


# What pydantic finds, in words that need no Python; the braces hold what pydantic says besides.
KINDS = {
    "missing": "This field is required.",
    "extra_forbidden": "There is no such field.",
    "int_type": "It must be a whole number.",
    "int_from_float": "It must be a whole number.",
    "bool_type": "It must be true or false.",
    "string_type": "It must be a string.",
    "list_type": "It must be a list.",
    "dict_type": "It must be an object.",
    "model_type": "It must be an object.",
    "string_pattern_mismatch": "It does not have the form of one.",
    "greater_than_equal": "It must be at least {ge}.",
    "less_than_equal": "It must be at most {le}.",
    "literal_error": "It must be {expected}.",
    "enum": "It must be {expected}.",
    "value_error": "{error}",
}


def describe(error: ErrorDetails) -> str:
    """Say in a sentence what is wrong with a field."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "int_type" and isinstance(error["input"], str):
        return "It must be a whole number, without quotes."
    if "min_length" in context:
        return f"It must have at least {count_of(context['min_length'], unit_of(error))}."
    if "max_length" in context:
        return f"It must have at most {count_of(context['max_length'], unit_of(error))}."
    return KINDS.get(kind, "{}.").format(error["msg"], **context)


def unit_of(error: ErrorDetails) -> str:
    """Say what the length of a value is counted in."""
    return "character" if isinstance(error["input"], str) else "element"
