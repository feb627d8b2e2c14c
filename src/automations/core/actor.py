"""Names that changes are recorded under: what one looks like, and which are the system's own.

People choose theirs freely, so what the system does by itself is recorded under names that nobody can take.
"""

LONGEST_NAME = 200
"""Characters of an actor's or a role's name."""
LOOKS_LIKE = f"1 to {LONGEST_NAME} printable characters, no space at the ends"

SYSTEM = "automations"
"""Who ends runs and cuts the audit log."""
DAEMON = "daemon"
"""Who ends what has run out; `daemon:SOURCE` is who reconciles a source."""
BY_EXPIRY = "expiry"
"""Who decided about a question that nobody answered in time."""
_OWN = (SYSTEM, DAEMON, BY_EXPIRY)
_OWN_BEGINNINGS = ("daemon:", "token:", "worker:")
"""Of daemons by source, of API tokens by name, of workers by machine."""


def is_name(text: str, *, longest: int = LONGEST_NAME) -> bool:
    """Whether a text can be read back, typed again and told from others."""
    return 0 < len(text) <= longest and text.isprintable() and text == text.strip()


def is_reserved(name: str) -> bool:
    """Whether a name is the system's own, in whatever case it is written."""
    plain = name.casefold()
    return plain in _OWN or plain.startswith(_OWN_BEGINNINGS)


def unfit(name: str) -> str:
    """Why nobody can be recorded under a name, such as `must be …`; empty when somebody can."""
    if not is_name(name):
        return f"must be a name ({LOOKS_LIKE}), not {name[:40]!r}"
    if is_reserved(name):
        return f"must not be {name}: changes that the system makes by itself are recorded under that name"
    return ""
