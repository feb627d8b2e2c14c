"""Executors: how an action's binding is carried out. One file per kind; the rest is what they share."""

from collections.abc import Mapping
from pathlib import Path

from automations.adapters.clock import SystemClock
from automations.adapters.executors.binding import KnownSecrets, no_secrets
from automations.adapters.executors.http import Http
from automations.adapters.executors.local_shell import LocalShell


def local_executors(
    environment: Mapping[str, str],
    *,
    workdir: Path,
    known_secrets: KnownSecrets = no_secrets,
) -> dict[str, LocalShell | Http]:
    """Make every executor that this program has, by the kind of binding that it carries out.

    `environment` is what processes may inherit from, `workdir` the directory below which they run;
    `known_secrets` gives the values to redact from captured output (`EnvironmentSecrets.known`).
    """
    return {
        LocalShell.kind: LocalShell(workdir, environment, known_secrets=known_secrets),
        Http.kind: Http(SystemClock().now, known_secrets=known_secrets),
    }
