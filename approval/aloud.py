"""How long a script takes to be read aloud."""

import math
import re

LONGEST_SECONDS = 30  # of a script: a loudspeaker repeats it, and nobody listens to more
# The pace of a news reader who wants to be understood out of doors; breathing between sentences is in it.
SYLLABLES_PER_SECOND = 4.0  # Chinese: one character, one syllable
WORDS_PER_SECOND = 2.5  # English: 150 words a minute

_CHINESE = re.compile(r"[\u3007\u3400-\u9fff\uf900-\ufaff\u2160-\u217f]")  # with the numerals Ⅰ to Ⅻ
_SPOKEN = re.compile(r"[0-9]+|[^\W\d_\u3400-\u9fff\u2160-\u217f]+(?:['’][^\W\d_]+)?")


def seconds(text: str, language: str) -> int:
    """Whole seconds, rounded up; a name in Chinese inside an English script is counted as Chinese."""
    syllables, words = len(_CHINESE.findall(text)), 0
    for piece in _SPOKEN.findall(text):
        if not piece.isdigit():
            words += 1
        elif language == "zh-CN":
            syllables += len(piece)  # 50 is 五十, 12345 is said digit by digit
        else:
            words += 1 if len(piece) <= 2 else len(piece)
    return math.ceil(syllables / SYLLABLES_PER_SECOND + words / WORDS_PER_SECOND)
