"""A field task: what somebody outside is asked to do, and how far he is with it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.moves import Moves


class TaskState(StrEnum):
    """Where a task stands."""

    GIVEN = "given"  # 派出
    UNDER_WAY = "under_way"  # 已出发
    ARRIVED = "arrived"  # 到达现场
    DONE = "done"  # 完成
    DECLINED = "declined"  # 不能执行, with the reason
    RECALLED = "recalled"  # 撤回, by the duty room


OPEN = frozenset({TaskState.GIVEN, TaskState.UNDER_WAY, TaskState.ARRIVED})

MOVES = Moves(
    "field_task",
    TaskState,
    {
        (TaskState.GIVEN, "set_out"): TaskState.UNDER_WAY,
        (TaskState.GIVEN, "arrive"): TaskState.ARRIVED,  # he was there already
        (TaskState.UNDER_WAY, "arrive"): TaskState.ARRIVED,
        (TaskState.ARRIVED, "finish_task"): TaskState.DONE,
        **{(state, "decline_task"): TaskState.DECLINED for state in OPEN},
        **{(state, "recall_task"): TaskState.RECALLED for state in OPEN},
    },
)
STEPS = ("set_out", "arrive", "finish_task", "decline_task")  # his own; the duty room recalls


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What one person is asked to do about one report."""

    id: str
    report: str
    incident: str  # from whose page it was given; '' for a report's
    person: str
    given_by: str
    what: str
    where: str
    given_at: datetime
    due_at: datetime
    state: TaskState
    revision: int
    changed_at: datetime
    reason: str = ""  # why it was declined or recalled
    said_at: str = ""  # when his telephone says that he said the last of it: a claim

    @property
    def is_open(self) -> bool:
        """Whether anybody still waits for it."""
        return self.state in OPEN

    def is_late(self, at: datetime) -> bool:
        """Whether it should be done by now, and is not."""
        return self.is_open and at > self.due_at
