"""What a source may be called: its name stands in owners, leases, logs and commands, so it is one plain word."""

LONGEST = 100
"""Characters."""


def unfit(name: str) -> str:
    """Why a name is none for a source, such as `must be …`; empty when it is one."""
    letters = name.replace(".", "").replace("_", "").replace("-", "")
    if 0 < len(name) <= LONGEST and name.isascii() and (not letters or letters.isalnum()):
        return ""
    return f"must be of letters, digits, `.`, `_` and `-`, at most {LONGEST}, not {name[: LONGEST + 1]!r}"
