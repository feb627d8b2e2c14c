"""CloudEvents 1.0 in their JSON format, single and batched, as envelopes.

The four required attributes and `subject`, `time` become the envelope's; every other attribute (`specversion`, `dataschema`,
`datacontenttype`, extensions) stays beside them under its own name. `data` that is no object stands under `value`, since
filters look into an object, and binary data as text under `base64`. Two extension attributes mean something here:
`dedupekey`, and `automationshops` for the hop count.
Source: CloudEvents 1.0.2, "Context Attributes" (§2.1, §3), and its JSON Event Format (§2, §3, §4).
"""

import re
from collections.abc import Mapping
from typing import Any

from automations.core.trigger.cause import METADATA
from automations.core.trigger.envelope import Envelope, from_document
from automations.errors import InvalidInput

VERSION = "1.0"
_DATA = ("data", "data_base64")
_NAME = re.compile(r"[a-z0-9]+", re.ASCII)
_OURS = frozenset({"dedupekey", "automationshops"})


def is_cloudevent(value: Any) -> bool:
    """Whether a JSON value calls itself a CloudEvent."""
    return isinstance(value, Mapping) and "specversion" in value


def from_cloudevent(value: Mapping[str, Any], *, received_at: int) -> Envelope:
    """Read a CloudEvent. Raises InvalidInput that names the attribute."""
    if value["specversion"] != VERSION:
        raise InvalidInput("the CloudEvent's specversion is not 1.0", hint="only version 1.0 is known here")
    for name, each in value.items():
        _check(name, each)
    if all(value.get(name) is not None for name in _DATA):
        raise InvalidInput("a CloudEvent has data or data_base64, not both")
    document = {name: each for name, each in value.items() if name not in _DATA and name not in _OURS}
    document["data"] = _data(value)
    if value.get("dedupekey") is not None:
        document["dedupeKey"] = value["dedupekey"]
    if value.get("automationshops") is not None:
        document["metadata"] = {METADATA: {"hops": value["automationshops"]}}
    return from_document(document, received_at=received_at)


def _check(name: str, value: Any) -> None:
    if name in _DATA:
        return
    if not _NAME.fullmatch(name):
        raise InvalidInput(f"a CloudEvent's attributes are named by lower-case letters and digits, not {name[:64]!r}")
    if not (value is None or isinstance(value, str | bool | int)):
        raise InvalidInput(f"the CloudEvent's attribute {name} must be a text, a whole number or a boolean")


def _data(value: Mapping[str, Any]) -> dict[str, Any]:
    binary = value.get("data_base64")
    if binary is not None:
        if not isinstance(binary, str):
            raise InvalidInput("the CloudEvent's data_base64 must be a text")
        return {"base64": binary}
    data = value.get("data")
    if data is None:
        return {}
    return dict(data) if isinstance(data, Mapping) else {"value": data}
