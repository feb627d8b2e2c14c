"""Jobs of one shell script each: what the end-to-end tests of daemons and workers have carried out."""

from pathlib import Path

from e2e.conftest import Site

ACTION = """\
id: {name}
name: {name}
version: 1.0.0
inputSchema: {{type: object}}
executorBindings:
  - kind: local-shell
    command: sh
    args: ["-c", '{script}']
    outputMode: text
"""
SPEC = """\
schemaVersion: "1.0"
id: {name}
name: {name}
version: 1.0.0
triggers:
  - {{kind: event, source: test, type: {name}}}
actions:
  - id: only
    actionId: {name}
    retry: {{maxAttempts: 5, base: 100ms, cap: 200ms}}
"""


def job(site: Site, name: str, script: str, *, more: str = "") -> None:
    """Write an automation of one step and its manifest; `more` is YAML that goes to the end of the automation."""
    site.write(f"actions/{name}.yaml", ACTION.format(name=name, script=script))
    site.write(f"{name}.yaml", SPEC.format(name=name) + more)


def send(site: Site, name: str, number: int = 1) -> str:
    event = f'{{"id":"{name}-{number}","source":"test","type":"{name}"}}'
    answer = site.automations("events", "send", "--event-json", event)
    return str(answer["materialized"][0]["run"]["id"])


def status_of(site: Site, run: str) -> str:
    return str(site.automations("runs", "show", run)["status"])


def children(pid: int) -> list[int]:
    """The process ids of a process's children, of all its threads, without the guard that stands by it (Linux)."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return [each for each in found if b"/guard.py" not in Path(f"/proc/{each}/cmdline").read_bytes()]


def gone(pid: int | str) -> bool:
    """Whether a process is no more (a zombie is none)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
