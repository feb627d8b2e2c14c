"""Trees of specs to measure with: about forty lines each, no two alike, with manifests for what they do."""

from pathlib import Path

MANIFESTS = 20
SECRET_REF = "secret://bench/hook"
SECRET_VARIABLE = "HASNA_AUTOMATIONS_SECRET_BENCH_HOOK"
SIGNATURE_HEADER = "X-Hub-Signature-256"
SIGNATURE_PREFIX = "sha256="

_KINDS = ("release", "ticket", "build", "invoice", "disk", "user", "deploy", "alert")
_ZONES = ("eu-central", "us-east", "ap-south")


def write_tree(root: Path, count: int) -> list[Path]:
    """Write `count` automations, fifty to a folder, and the manifests that they use; every file written."""
    files = [_write(root / "actions" / f"step-{index:02}.yaml", manifest(index)) for index in range(MANIFESTS)]
    files += [_write(root / f"team-{index // 50:03}" / f"spec-{index:05}.yaml", spec(index)) for index in range(count)]
    return files


def write_hooks(root: Path, count: int) -> None:
    """Write `count` automations, each with a signed webhook route of its own: `/webhooks/hook-<n>`."""
    for index in range(count):
        _write(root / f"hook-{index}.yaml", hook(index))


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def spec(index: int) -> str:
    """One automation of forty-odd lines."""
    kind, zone = _KINDS[index % len(_KINDS)], _ZONES[index % len(_ZONES)]
    step = [f"step.{(index * 7 + offset) % MANIFESTS:02}" for offset in range(3)]
    return f"""\
# yaml-language-server: $schema=../schemas/automation.schema.json
schemaVersion: "1.0"
id: {kind}s.flow-{index:05}
name: Handle {kind} number {index}
version: 1.{index % 9}.0
description: >-
  Looks at every {kind} of {zone}, keeps what matters to team {index // 50}, and tells the people on duty.
triggers:
  - kind: event
    source: apps/{zone}
    type: {kind}.changed.{index}
    filter:
      priority: [high, urgent]
      {kind}.name: "team-{index // 50}-*"
    expr: event.data.count > {index % 17} && event.subject != "test"
vars:
  team: team-{index // 50}
  threshold: {index % 100}
actions:
  - id: look
    actionId: {step[0]}
    input:
      text: "${{{{ event.data.{kind}.name }}}} in {zone}"
      count: "${{{{ event.data.count + {index} }}}}"
    retry: {{maxAttempts: 5, base: 2s, cap: 10m, jitter: equal}}
  - id: decide
    actionId: {step[1]}
    dependsOn: [look]
    when: steps.look.output.score >= {index % 10}
    input:
      text: "score is ${{{{ steps.look.output.score }}}}"
      count: {index}
  - id: tell
    actionId: {step[2]}
    dependsOn:
      - step: decide
        on: completed
    onFailure: continue
    input:
      text: "done with {kind} {index}"
metadata:
  owner: team-{index // 50}
  runbook: runbooks/{kind}/{index}.md
"""


def manifest(index: int) -> str:
    """The manifest of `step.<index>`."""
    return f"""\
id: step.{index:02}
name: Step {index}
version: 1.0.0
description: Takes a text and a count.
inputSchema:
  type: object
  required: [text]
  additionalProperties: false
  properties:
    text: {{type: string, minLength: 1}}
    count: {{type: integer}}
executorBindings:
  - kind: local-shell
    command: "true"
"""


def hook(index: int) -> str:
    """An automation with one step behind a signed route."""
    return f"""\
schemaVersion: "1.0"
id: hook-{index}
name: Take hook {index}
version: 1.0.0
triggers:
  - kind: webhook
    source: bench-{index}
    type: order.created
    route:
      id: hook-{index}
      path: /webhooks/hook-{index}
      signature:
        algorithm: hmac-sha256
        secretRef: {SECRET_REF}
        header: {SIGNATURE_HEADER}
        prefix: "{SIGNATURE_PREFIX}"
        encoding: hex
      mapping: {{dataPath: order, idPath: id}}
actions:
  - id: store
    actionId: orders.store
    input:
      number: "${{{{ event.data.number }}}}"
"""
