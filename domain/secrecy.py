"""What not everybody at the desk may know of: compartments, marks of secrecy, and the eyes of who looks."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntFlag, StrEnum
from unicodedata import normalize

from domain.errors import Conflict
from domain.moves import Moves
from domain.person import Person, Role

SOCIAL_CODES = "14"  # 社会安全事件 of 《国家应急平台体系信息资源分类与编码规范》: 14000, 14A00 to 14Y00


class Compartment(IntFlag):
    """A report may lie in several; whoever looks needs a grant for each of them."""

    SOCIAL = 1  # 社会安全事件: by its event type
    SENSITIVE = 2  # 敏感: an officer says so
    MARKED = 4  # a mark of state secrecy stands in its text; the security officer's alone

    @property
    def code(self) -> str:
        """As grants, the journal and programs name it."""
        return str(self.name).lower()


GRANTED = (
    Compartment.SOCIAL,
    Compartment.SENSITIVE,
)  # for MARKED nobody is given a grant: it goes with the role
EVERY = sum(one.value for one in Compartment)


class PurgeState(StrEnum):
    """Where the destruction of one report stands."""

    ORDERED = "ordered"  # one security officer wants it
    CONFIRMED = "confirmed"  # another did too, and it is done
    WITHDRAWN = "withdrawn"  # taken back before that


PURGES = Moves(
    "purge",
    PurgeState,
    {
        (PurgeState.ORDERED, "confirm"): PurgeState.CONFIRMED,
        (PurgeState.ORDERED, "withdraw"): PurgeState.WITHDRAWN,
    },
)


def must_be_free(compartments: int) -> None:
    """Raises Conflict(quarantined): of what bears a mark of secrecy nothing is made, and nothing is sent on."""
    if compartments & Compartment.MARKED:
        raise Conflict("it bears a mark of secrecy and is held for the security officer", code="quarantined")


def named(code: str) -> Compartment | None:
    """The compartment that can be granted under this code."""
    return next((one for one in GRANTED if one.code == code), None)


def codes(compartments: int) -> list[str]:
    """The codes of all that `compartments` holds."""
    return [one.code for one in Compartment if one & compartments]


@dataclass(frozen=True, slots=True, kw_only=True)
class Eyes:
    """What somebody may see: what lies in no compartment, and what lies only in granted ones."""

    granted: int = 0
    are_the_hub_s: bool = field(default=False)

    def see(self, compartments: int) -> bool:
        """Whether what lies in these exists for him."""
        return self.are_the_hub_s or not compartments & ~self.granted

    @property
    def sights(self) -> tuple[int, ...]:
        """Every set of compartments that he sees."""
        return tuple(held for held in range(EVERY + 1) if self.see(held))


HUB = Eyes(
    granted=EVERY, are_the_hub_s=True
)  # doors and jobs: what they propose to a person he reads with his own
NOBODY = Eyes()  # figures that everybody may see are counted with these


def eyes_of(person: Person | None, granted: Iterable[str]) -> Eyes:
    """Of a person, or of a program that has none, with the codes of the grants in force."""
    held = 0
    for code in granted:
        held |= named(code) or 0
    if person is not None and person.is_active and Role.SECURITY in person.roles:
        held |= Compartment.MARKED
    return Eyes(granted=held)


def by_event(event_code: str) -> int:
    """The compartment that an event type asks for."""
    return Compartment.SOCIAL.value if event_code.startswith(SOCIAL_CODES) else 0


# 《国家秘密载体保密管理规定》 and GB/T 9704-2012 §7.2.2: the degree, the mark ★, then the term in years, months or days,
# or 长期; letters may stand apart (机　密★１年). The bare word 秘密 is daily speech and no mark. Mail programs and OCR
# turn ★ into what looks like it; a full stop or an asterisk between two marks of a list does not occur.
_GAP = r"[\s\u3000\u200b\u200c\u200d\u2060\ufeff\u00ad]*"
_STAR = "[★☆✩✭✮✯✰⋆⭐🌟✪✫✬]"
_DEGREES = {
    "绝密": "top_secret",
    "機密": "secret",
    "机密": "secret",
    "秘密": "confidential",
    "絕密": "top_secret",
}
_MARK = re.compile("(" + "|".join(_GAP.join(word) for word in _DEGREES) + f"){_GAP}{_STAR}")
_RANK = ("top_secret", "secret", "confidential")


def mark_in(text: str) -> str:
    """The highest degree that `text` is marked with: top_secret, secret, confidential; '' for none."""
    if not any(letter in text for letter in "密⭐★☆"):
        return ""
    found = {_DEGREES[re.sub(_GAP, "", said)] for said in _MARK.findall(normalize("NFKC", text))}
    return next((degree for degree in _RANK if degree in found), "")
