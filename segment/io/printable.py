"""Text from files in messages."""

LONGEST = 64


def printable(text: object) -> str:
    """At most 64 characters of text from a file, in one line, without control characters for a terminal."""
    line = "".join(character if character.isprintable() else "?" for character in str(text).strip())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"
