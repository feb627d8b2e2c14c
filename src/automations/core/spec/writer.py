"""Writes a spec as YAML that every reader understands alike: ours, editors (YAML 1.2) and older tools (YAML 1.1).

Keys keep their author's order. A text that either version of YAML would take for something else is quoted; texts of several
lines are written as blocks; nothing is shortened with anchors.
"""

from collections.abc import Mapping
from typing import Any

import yaml

from automations.core.spec.scalars import BadScalarError, plain

MODELINE = "# yaml-language-server: $schema=../schemas/automation.schema.json\n"
"""Tells editors which schema to check with, where specs lie in a folder beside `schemas`."""
_TEXT = "tag:yaml.org,2002:str"
_WIDTH = 120
_BREAKS = frozenset("\x85\u2028\u2029")
"""Line ends in YAML 1.1 and plain characters in 1.2."""


def to_yaml(spec: Mapping[str, Any]) -> str:
    """A spec (plain data) as one YAML document that reads back as equal, after the line that editors look for."""
    return MODELINE + yaml.dump(
        spec, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH, default_flow_style=False
    )


class _Dumper(yaml.SafeDumper):
    """PyYAML's own quotes what YAML 1.1 misreads; here what 1.2 does is quoted as well."""

    def ignore_aliases(self, _: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002  # PyYAML's signature
        """Indent the items of a list below its key, as people write them."""
        super().increase_indent(flow, indentless=False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    if not _BREAKS.isdisjoint(text) or not _means_itself(text):
        style = '"'
    return dumper.represent_scalar(_TEXT, text, style=style)


def _means_itself(text: str) -> bool:
    try:
        return plain(text) == text
    except BadScalarError:
        return False


_Dumper.add_representer(str, _text)
