"""Hazards of a changed action manifest: who carries the action out, and what it may reach."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from automations.core.diagnostic import Path
from automations.core.plan.hazards import Hazard
from automations.core.plan.secrets import secrets_of
from automations.core.spec import build

Data = Mapping[str, Any]
_APPROVALS: Path = ("requiredApprovals",)


def manifest_hazards(name: str, before: Data, after: Data) -> Iterator[Hazard]:
    """Every hazard of a manifest `name` (`id@version`) that was `before`."""
    old, new = list(before["executorBindings"]), list(after["executorBindings"])
    for index, binding in enumerate(new):
        was = old[index] if index < len(old) else None
        path: Path = ("executorBindings", index)
        if target(binding) != (target(was) if was else None):
            instead = f" instead of {shown_target(was)}" if was else ""
            message = f"action {name} is carried out by {shown_target(binding)}{instead}"
            yield Hazard("AU330", name, message, path)
        if was is not None:
            for what in _reaches(was, binding):
                yield Hazard("AU331", name, f"action {name} {what}", path)
    if gained := sorted(secrets_of(after) - secrets_of(before)):
        yield Hazard("AU331", name, f"action {name} uses a secret that it did not: {', '.join(gained)}")
    fewer, more = build.manifest(after).required_approvals, build.manifest(before).required_approvals
    if fewer < more:
        yield Hazard("AU320", name, f"action {name} requires {fewer} approvals instead of {more}", _APPROVALS)


def target(binding: Data) -> tuple[Any, ...]:
    """What must stay the same for a binding to be the same executor: a command with its fixed words, a host, a name."""
    kind = binding["kind"]
    if kind == "http":
        address = urlsplit(str(binding.get("url", "")))
        return kind, address.scheme, address.netloc
    if kind == "local-shell":
        return kind, binding.get("command"), tuple(map(str, binding.get("args", ()))), binding.get("cwd")
    return kind, binding.get("server"), binding.get("tool"), binding.get("ref")


def shown_target(binding: Data) -> str:
    """A binding in a few words."""
    kind = binding["kind"]
    if kind == "http":
        address = urlsplit(str(binding.get("url", "")))
        return f"{address.scheme}://{address.hostname or address.netloc}"
    if kind == "local-shell":
        return " ".join(map(str, (binding.get("command"), *binding.get("args", ()))))
    return " ".join(str(part) for part in (kind, *target(binding)[1:]) if part)


def _reaches(was: Data, now: Data) -> Iterator[str]:
    old, new = was.get("inheritEnv", ()), now.get("inheritEnv", ())
    if new is True and old is not True:
        yield "inherits the whole environment"
    elif isinstance(new, list) and isinstance(old, list | tuple) and (gained := sorted(set(new) - set(old))):
        yield f"inherits {', '.join(gained)}"
    if gained_hosts := sorted(set(map(str, now.get("allowHosts", ()))) - set(map(str, was.get("allowHosts", ())))):
        yield f"may call {', '.join(gained_hosts)}"
