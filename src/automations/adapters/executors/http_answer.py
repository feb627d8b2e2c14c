"""Judges an HTTP answer: success with its body, or a failure that says whether trying again can help. Pure.

Status and wait follow the retry rule of the semantics: 408, 425, 429 and 5xx may be tried again, other 4xx and every
redirect may not. `Retry-After` is RFC 9110 §10.2.3.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from automations.adapters.executors.bounded import Capture, plain_data
from automations.adapters.redaction import Redactor
from automations.core.instant import SECOND
from automations.core.run.execution import Failed, Outcome, Succeeded
from automations.errors import InvalidInput

LONGEST_WAIT = 3600 * SECOND
"""Microseconds that a `Retry-After` can ask for; a longer one counts as this."""

_TRY_AGAIN = frozenset({408, 425, 429})
_SECONDS = re.compile(r"[0-9]{1,10}\Z")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: header names in lower case; `body` is bounded and redacted; `origin` names the other side."""

    origin: str
    status: int
    headers: Mapping[str, str]
    body: Capture


def outcome(answer: Answer, *, now: int, hide: Redactor) -> Outcome:
    """Judge an answer that arrived at `now` (microseconds UTC)."""
    metadata: dict[str, Any] = {"httpStatus": answer.status}
    if 200 <= answer.status < 300:
        return _success(answer, metadata=metadata, hide=hide)
    if answer.body.size:
        metadata["body"] = answer.body.excerpt()
    if 300 <= answer.status < 400:
        message = f"{answer.origin}: answered {_status(answer)}; redirects are not followed. Name the final URL."
        return Failed("HTTP_REDIRECT", message, retryable=False, metadata=metadata)
    retryable = answer.status in _TRY_AGAIN or answer.status >= 500
    wait = retry_after(answer.headers.get("retry-after", ""), now=now) if retryable else None
    message = f"{answer.origin}: answered {_status(answer)}."
    return Failed("HTTP_STATUS", message, retryable=retryable, retry_after=wait, metadata=metadata)


def retry_after(value: str, *, now: int) -> int | None:
    """Give the microseconds that a `Retry-After` asks for, at most `LONGEST_WAIT`; None when it says nothing usable.

    Seconds or an HTTP date in any of its three forms (RFC 9110 §5.6.7); `now` in microseconds UTC.
    """
    value = value.strip()
    if _SECONDS.match(value):
        return min(int(value) * SECOND, LONGEST_WAIT)
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    at = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0, min(int(at.timestamp()) * SECOND - now, LONGEST_WAIT))


def _success(answer: Answer, *, metadata: dict[str, Any], hide: Redactor) -> Outcome:
    encoding = answer.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        message = f"{answer.origin}: answered {_status(answer)} with a content encoding that was not asked for."
        return Failed("OUTPUT_INVALID", message, retryable=False, metadata=metadata)
    if answer.body.cut:
        message = f"{answer.origin}: answered {_status(answer)} with a larger body than is kept. Ask for less."
        return Failed("OUTPUT_TOO_LARGE", message, retryable=False, metadata=metadata)
    body = answer.body.data()
    if not body.strip():
        return Succeeded(None, metadata)
    if not _is_json(answer.headers.get("content-type", "")):
        return Succeeded(answer.body.text(), metadata)
    try:
        return Succeeded(plain_data(body, hide), metadata)
    except InvalidInput as error:
        message = f"{answer.origin}: answered {_status(answer)}, but its body is {error.message}."
        return Failed("OUTPUT_INVALID", message, retryable=False, metadata=metadata | {"body": answer.body.excerpt()})


def _is_json(content_type: str) -> bool:
    essence = content_type.partition(";")[0].strip().lower()
    return essence == "application/json" or (essence.startswith("application/") and essence.endswith("+json"))


def _status(answer: Answer) -> str:
    try:
        return f"{answer.status} {HTTPStatus(answer.status).phrase}"
    except ValueError:
        return str(answer.status)
