"""What a child of ours answered on its own pipe, told as an outcome: `{"output": …}`, or `{"error": {…}}`.

The children are `function_child.py` and `tool_child.py`; stdout and stderr belong to what they run, and go with the outcome for
a person to read.
"""

from typing import Any

from automations.adapters.executors import child
from automations.adapters.executors.bounded import EXCERPT_LIMIT, plain_data
from automations.adapters.executors.process import Ended
from automations.adapters.redaction import Redactor
from automations.core.instant import SECOND
from automations.core.run.execution import Failed, Outcome, Succeeded
from automations.core.run.retry import LONGEST_WAIT
from automations.errors import InvalidInput

_MESSAGE_LIMIT = 2000
"""Characters."""


def outcome(ended: Ended, name: str, *, timeout: float | None, hide: Redactor) -> Outcome:
    """Judge how the child of `name` ended. A child that ended well and answered nothing succeeded with nothing to say."""
    made_by_us = child.stopped(ended, name, timeout=timeout)
    if made_by_us:
        return made_by_us
    metadata = child.metadata(ended)
    if ended.stdout.size:
        metadata["stdout"] = ended.stdout.excerpt()
    if not ended.answer.size:
        return child.unsuccessful(ended, name) or Succeeded({}, metadata)
    if ended.answer.cut:
        message = f"{name}: gave {ended.answer.size} bytes of output, more than is kept. Give less."
        return Failed("OUTPUT_TOO_LARGE", message, retryable=False, metadata=metadata)
    try:
        answer = plain_data(ended.answer.data(), hide)
    except InvalidInput as error:
        return Failed("OUTPUT_INVALID", f"{name}: its output is {error.message}.", retryable=False, metadata=metadata)
    if "error" in answer:
        metadata.pop("exitCode", None)  # the exception says more
        return _failed(answer["error"], name, metadata=metadata)
    return Succeeded(answer.get("output"), metadata)


def _failed(error: dict[str, Any], name: str, *, metadata: dict[str, Any]) -> Failed:
    told = {**metadata, "type": error["type"]} if error.get("type") else metadata
    if error.get("traceback"):
        text = error["traceback"]
        told = {**told, "traceback": text if len(text) <= EXCERPT_LIMIT else "…" + text[1 - EXCERPT_LIMIT :]}
    wait = error.get("retryAfter")
    return Failed(
        error["code"],
        f"{name}: {error['message']}"[:_MESSAGE_LIMIT],
        retryable=error["retryable"],
        retry_after=None if wait is None else min(int(wait * SECOND), LONGEST_WAIT),
        metadata=told,
    )
