"""Reasons that people give for what they do by hand: some words, not a document."""

LONGEST = 500
"""Characters: what a person reads in a line or a few."""


def unfit(reason: str) -> str:
    """What is wrong with a reason; empty when nothing is."""
    if not reason.strip():
        return "needs a reason"
    if len(reason) > LONGEST:
        return f"takes a reason of at most {LONGEST} characters, not of {len(reason)}"
    return ""


def shown(reason: str) -> str:
    """A reason as it is shown; one from before there was a bound is cut."""
    return reason if len(reason) <= LONGEST else f"{reason[:LONGEST]}…"
