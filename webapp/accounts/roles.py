"""What each role may do in an organisation: one table, and every page of the console names the permission it needs."""

from enum import StrEnum


class Role(StrEnum):
    """A member's place in an organisation, the most powerful first."""

    OWNER = "owner"
    ADMIN = "admin"
    DEVELOPER = "developer"
    BILLING = "billing"
    VIEWER = "viewer"


class Permission(StrEnum):
    """Something that a role may do or not."""

    OVERVIEW_READ = "overview:read"
    JOBS_READ = "jobs:read"
    JOBS_MANAGE = "jobs:manage"
    USAGE_READ = "usage:read"
    CREDITS_READ = "credits:read"
    CREDITS_EXPORT = "credits:export"
    BUDGETS_MANAGE = "budgets:manage"
    KEYS_READ = "keys:read"
    KEYS_MANAGE = "keys:manage"
    MEMBERS_READ = "members:read"
    MEMBERS_MANAGE = "members:manage"
    OWNERS_MANAGE = "owners:manage"
    ORGANISATION_MANAGE = "organisation:manage"
    AUDIT_READ = "audit:read"


OWNER, ADMIN, DEVELOPER, BILLING, VIEWER = Role
EVERYBODY = frozenset(Role)

MAY: dict[Permission, frozenset[Role]] = {
    Permission.OVERVIEW_READ: EVERYBODY,
    Permission.JOBS_READ: frozenset({OWNER, ADMIN, DEVELOPER, VIEWER}),
    Permission.JOBS_MANAGE: frozenset({OWNER, ADMIN, DEVELOPER}),
    Permission.USAGE_READ: EVERYBODY,
    Permission.CREDITS_READ: EVERYBODY,
    Permission.CREDITS_EXPORT: frozenset({OWNER, ADMIN, BILLING}),
    Permission.BUDGETS_MANAGE: frozenset({OWNER, ADMIN, BILLING}),
    Permission.KEYS_READ: frozenset({OWNER, ADMIN, DEVELOPER, VIEWER}),
    Permission.KEYS_MANAGE: frozenset({OWNER, ADMIN, DEVELOPER}),
    Permission.MEMBERS_READ: EVERYBODY,
    Permission.MEMBERS_MANAGE: frozenset({OWNER, ADMIN}),
    Permission.OWNERS_MANAGE: frozenset({OWNER}),
    Permission.ORGANISATION_MANAGE: frozenset({OWNER, ADMIN}),
    Permission.AUDIT_READ: frozenset({OWNER, ADMIN}),
}

DESCRIPTIONS: dict[Role, str] = {
    OWNER: "Everything, and who else is an owner",
    ADMIN: "Everything but owners: members, keys, settings, the audit trail",
    DEVELOPER: "Runs and cancels jobs, makes and revokes keys; sees jobs, usage and credits",
    BILLING: "Sees usage and credits, sets budgets, and takes the statement away",
    VIEWER: "Sees keys, jobs, usage and credits, and changes nothing",
}


def is_allowed(role: Role, permission: Permission) -> bool:
    """Tell whether a role may do this."""
    return role in MAY[permission]
