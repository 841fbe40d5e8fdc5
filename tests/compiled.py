"""What each application compiles for itself is the same in all of them: in a process of tests it is compiled once."""

from collections.abc import Callable

import pytest
from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from werkzeug.routing import Rule

from webapp.core.db import POOL


class CompiledTemplates(BytecodeCache):
    """Keeps the code of templates, by their name and text."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], object] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Give a template's code, if it is there."""
        bucket.code = self._codes.get((bucket.key, bucket.checksum))  # type: ignore[assignment]  # None is for absent

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep a template's code."""
        self._codes[bucket.key, bucket.checksum] = bucket.code


def keep_compiled(patch: pytest.MonkeyPatch) -> None:
    """Compile each template and each rule of an address once: an application has over a hundred rules, 25 ms in all."""
    patch.setitem(Flask.jinja_options, "bytecode_cache", CompiledTemplates())
    compile_builder = Rule._compile_builder  # noqa: SLF001 - Werkzeug has no cache of its own
    builders: dict[tuple[object, ...], Callable[..., tuple[str, str]]] = {}

    def compile_once(rule: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:  # noqa: FBT001, FBT002 - Werkzeug's signature
        # All that it is made of; converters are the rule's own, which is given to it on each call.
        key = (rule.rule, append_unknown, tuple(rule._trace), repr(rule.defaults))  # noqa: SLF001 - the same
        if key not in builders:
            builders[key] = compile_builder(rule, append_unknown)
        return builders[key]

    patch.setattr(Rule, "_compile_builder", compile_once)
    keep_statements(patch)


def keep_statements(patch: pytest.MonkeyPatch) -> None:
    """Compile each statement once for each kind of database: engines would each do so, and nothing in it is theirs."""
    patch.setitem(POOL, "execution_options", {"compiled_cache": {}})
    for dialect in (SQLiteDialect_pysqlite, PGDialect_psycopg):
        # Both caches, this one and that of the mappers, look statements up by the dialect among others.
        patch.setattr(dialect, "__hash__", lambda self: hash(type(self)))
        patch.setattr(dialect, "__eq__", lambda self, other: type(self) is type(other))
