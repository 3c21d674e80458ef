"""What a finished e-mail text must be: a subject, an empty line, a body."""

from collections.abc import Iterator

LONGEST_SUBJECT = 78  # characters: a list of letters shows fewer, RFC 5322 §2.1.1 wants no more in a line
MOST_LETTER = 16_000  # bytes: far more than any template makes, far less than a mailbox minds


def subject_of(text: str) -> str:
    """The first line."""
    return text.partition("\n")[0]


def flaws(text: str) -> Iterator[str]:
    """What is wrong with the form of it."""
    subject, _, rest = text.partition("\n")
    if not subject.strip():
        yield "has no subject"
    if len(subject) > LONGEST_SUBJECT:
        yield f"has a subject of {len(subject)} characters; at most {LONGEST_SUBJECT}"
    if not rest.startswith("\n") or not rest.strip():
        yield "has no body below its subject"
    if (size := len(text.encode())) > MOST_LETTER:
        yield f"is {size} bytes long; at most {MOST_LETTER}"
