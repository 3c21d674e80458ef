"""How widely a thing may be shown, and under which mode the hub runs."""

from enum import StrEnum


class Handling(StrEnum):
    """Marking of reports, blobs and releases."""

    PUBLIC = "public"  # 公开
    INTERNAL = "internal"  # 内部
    SENSITIVE = "sensitive"  # 敏感


class Mode(StrEnum):
    """One per database, set at `init` and never changed."""

    LIVE = "live"  # 实战
    EXERCISE = "exercise"  # 演练
    DEMO = "demo"  # 演示

    @property
    def cap_status(self) -> str:
        """CAP 1.2 §3.2.1 status of what this hub issues."""
        return {"live": "Actual", "exercise": "Exercise", "demo": "Test"}[self.value]

    @property
    def may_reach_the_world(self) -> bool:
        """Whether a wire of this hub may leave the machine."""
        return self is Mode.LIVE
