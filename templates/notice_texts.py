"""The texts of notices to one person: what an acknowledgement says in an SMS or a mail."""

from functools import lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from domain.handling import Mode
from domain.ids import spoken_digits
from domain.notice import NoticeKind
from templates import shape

ENGLISH, CHINESE = "en", "zh-CN"
# Readers of Tibetan and Uyghur texts here read Chinese rather than English; und is a text without letters.
_READ_CHINESE = ("zh", "bo", "ug", "und")


def language_for(written: str) -> str:
    """The language of an answer to a text in the language `written` (domain.report.Content.language)."""
    return CHINESE if written.partition("-")[0] in _READ_CHINESE else ENGLISH


def sms(kind: NoticeKind, language: str, *, code: str, link: str, organisation: str, mode: Mode) -> str:
    """One line of text; `link` is '' for none. Marked in a demo and an exercise, as every text is."""
    values = {"code": code, "link": link, "organisation": organisation}
    text = _environment().get_template(f"{kind.value}.sms.{language}.txt").render(values)
    return shape.message(text, mode, language)


def mail(kind: NoticeKind, language: str, *, code: str, link: str, organisation: str, mode: Mode) -> str:
    """Subject, an empty line, body; subject and body are each marked in a demo and an exercise."""
    values = {"code": code, "digits": spoken_digits(code), "link": link, "organisation": organisation}
    text = _environment().get_template(f"{kind.value}.email.{language}.txt").render(values)
    return shape.letter(text, mode, language)


def chat(kind: NoticeKind, language: str, *, organisation: str, mode: Mode, **more: object) -> str:
    """A message of a chat; `more` are the values of its kind."""
    text = (
        _environment()
        .get_template(f"{kind.value}.telegram.{language}.txt")
        .render({"organisation": organisation, **more})
    )
    return shape.post(text, mode, language)


def answer(
    channel: str, language: str, *, said: str, code: str, link: str, organisation: str, mode: Mode
) -> str:
    """What an officer writes to whoever reported, as the wire of the channel takes it; `link` is '' for none."""
    values = {"said": said, "code": code, "link": link, "organisation": organisation}
    text = _environment().get_template(f"{NoticeKind.ANSWER.value}.{channel}.{language}.txt").render(values)
    shapes = {"sms": shape.message, "email": shape.letter, "telegram": shape.post}
    return shapes[channel](text, mode, language)


def handover(channel: str, language: str, *, mode: Mode, **values: str) -> str:
    """What a responsible body is told of a report that is handed to it."""
    text = _environment().get_template(f"{NoticeKind.HANDOVER.value}.{channel}.{language}.txt").render(values)
    return {"sms": shape.message, "email": shape.letter}[channel](text, mode, language)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("templates", "notices"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 (plain text; the values are ours or an officer's, none is a stranger's)
        trim_blocks=True,
        lstrip_blocks=True,
    )
