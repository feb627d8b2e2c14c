"""A replay as people read it: for each automation which events start it before, after, and both."""

from collections.abc import Iterator, Mapping
from typing import Any

from automations.core.plan.render.words import clipped

MOST = 50
"""Automations that are listed; the counts of the others are in the JSON."""
_WORDS = (("onlyBefore", "only before"), ("both", "before and after"), ("onlyAfter", "only after"))


def replay_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The lines, without indentation of the first."""
    listed = found["automations"]
    events = f"{found['events']} {'event' if found['events'] == 1 else 'events'}"
    yield f"Replay of {events} ({found['origin']}), triggers only: {_total(listed)}"
    for each in listed[:MOST]:
        yield clipped(f"  {each['id']}")
        for side, words in _WORDS:
            count, samples = each[side]["count"], each[side]["samples"]
            if count:
                more = ", …" if count > len(samples) else ""
                yield clipped(f"    {words}: {count} ({', '.join(samples)}{more})")
    if len(listed) > MOST:
        rest = len(listed) - MOST
        yield f"  and {rest} more {'automation' if rest == 1 else 'automations'}"


def _total(listed: list[Mapping[str, Any]]) -> str:
    if not listed:
        return "no event starts anything that the plan changes"
    return ", ".join(f"{sum(each[side]['count'] for each in listed)} {words}" for side, words in _WORDS)
