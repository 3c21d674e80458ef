"""The people and programs that act in the hub."""

from dataclasses import dataclass, field
from enum import StrEnum

from domain.errors import NotAllowed


class Role(StrEnum):
    """What a person may do; one person may hold several."""

    OFFICER = "officer"  # 值班员
    LEADER = "leader"  # 带班领导: takes over any claim, with a reason
    APPROVER = "approver"  # 签发人
    ADMIN = "admin"  # 管理员
    AUDITOR = "auditor"  # 审计员: reads all that he has sight of, changes nothing
    SECURITY = "security"  # 保密员: the only one to see what bears a mark of secrecy; two of them destroy it
    FIELD = "field"  # 现场人员: his own tasks and what he sent; nothing of the desk


class Scope(StrEnum):
    """What an API key may be used for; a key never exceeds its person's roles."""

    REPORT = "reports:write"
    READ = "reports:read"
    DESK = "desk"
    RELEASE = "releases:write"
    APPROVE = "releases:approve"
    PEER = "bulletins:write"  # another hub or authority that pushes what it issues


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A human being, not an account: two accounts of one person are one Person."""

    id: str
    name: str
    organisation: str
    roles: frozenset[Role] = field(default=frozenset())
    language: str = "zh-CN"
    is_active: bool = True

    @property
    def is_of_the_desk(self) -> bool:
        """Whether any page of the desk is for him: not for those who are in the field only."""
        return self.roles != {Role.FIELD}

    def must_be(self, *roles: Role) -> None:
        """Returns if the person is active and holds one of `roles`. Raises NotAllowed."""
        if not self.is_active or not self.roles & set(roles):
            wanted = ", ".join(r.value for r in roles)
            raise NotAllowed(f"this needs the role {wanted}", code="role_missing")
