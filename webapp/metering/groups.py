"""The groups that accounts fall into: one for each base 62 character, and each one cluster slot (docs/adr/0003)."""

from webapp.core.key_tokens import BASE62

GROUPS: tuple[str, ...] = tuple(BASE62)
