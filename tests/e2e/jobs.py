"""Jobs of one shell script each: what the end-to-end tests of daemons and workers have carried out."""

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


def job(site: Site, name: str, script: str) -> None:
    site.write(f"actions/{name}.yaml", ACTION.format(name=name, script=script))
    site.write(f"{name}.yaml", SPEC.format(name=name))


def send(site: Site, name: str, number: int = 1) -> str:
    event = f'{{"id":"{name}-{number}","source":"test","type":"{name}"}}'
    answer = site.automations("events", "send", "--event-json", event)
    return str(answer["materialized"][0]["run"]["id"])
