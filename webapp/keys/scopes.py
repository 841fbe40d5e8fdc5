"""What a key may be allowed to do."""

from collections.abc import Iterable

SCOPES: dict[str, str] = {
    "templates:read": "See the ready circuits",
    "backends:read": "See the backends",
    "jobs:read": "See jobs and their results",
    "jobs:write": "Run and cancel circuits, which costs credits",
    "usage:read": "See usage and credits",
    "keys:read": "List API keys",
    "keys:write": "Create, rotate and revoke API keys",
}

# Usual choices of scopes.
PRESETS: dict[str, tuple[str, ...]] = {
    "Read-only": tuple(scope for scope in SCOPES if scope.endswith(":read")),
    "Run jobs": ("templates:read", "backends:read", "jobs:read", "jobs:write"),
    "Full": tuple(SCOPES),
}


def sort_scopes(scopes: Iterable[str]) -> list[str]:
    """Put scopes in the order of SCOPES, each once; unknown ones are dropped."""
    wanted = set(scopes)
    return [scope for scope in SCOPES if scope in wanted]
