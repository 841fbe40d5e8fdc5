"""What an object works out about itself once."""

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

Value = TypeVar("Value")


class remembered(Generic[Value]):  # noqa: N801 - a decorator, like property
    """A property that is worked out when it is first asked for, and kept in the object's `__dict__`.

    `functools.cached_property` holds one lock for all objects of a class while it works one out, before Python 3.12:
    everybody's small circuit waited half a second for somebody's large one. Threads that ask one object for the first
    time together may each work it out here, to the same end.
    """

    def __init__(self, work_out: Callable[[Any], Value]) -> None:
        self._work_out = work_out
        self.__doc__ = work_out.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> Value: ...
    def __get__(self, instance: object | None, owner: type) -> Self | Value:
        """Work it out; from then on Python finds it in the object first, and does not come here."""
        if instance is None:
            return self
        value = instance.__dict__[self._name] = self._work_out(instance)
        return value
