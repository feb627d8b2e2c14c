"""Once everything is healed, everything must come to its end, or wait for a cause that can be named."""

from automations.core.instant import SECOND
from automations.store.database import Row
from simulation.definitions import not_in_step
from simulation.faults import CALM
from simulation.invariants import CLAIMABLE, FINAL, OVER
from simulation.programs import Daemon, Program
from simulation.sharing import contenders
from simulation.world import DAEMONS, World

MOST_ROUNDS = 200
LONGEST_ROUND = 60
"""Seconds that a round takes at most; the first ones are short."""


def come_to_rest(world: World) -> None:
    """Heal all faults, let time pass until nothing moves, then let the external runner work too. Raises Broken."""
    with world.reported():
        world.weather = CALM
        world.say("everything is healed")
        world.launcher.heal()
        world.editor.heal()
        world.steps += 1000  # whoever is away comes back
        for name in DAEMONS:
            if name not in world.daemons:
                world.boot(name)
        commander = world.commander()
        world.perform(commander, "operator", lambda: world.operator.resume_all(commander))
        _until_quiet(world, external=False)
        _judge(world, [problem for row in _open(world) if (problem := _stuck(row, external=False))])
        _until_quiet(world, external=True)
        _judge(world, [problem for row in _open(world) if (problem := _stuck(row, external=True))] + _unsettled(world))
        world.look_at_everything()


def _until_quiet(world: World, *, external: bool) -> None:
    for round_ in range(MOST_ROUNDS):
        world.steps += 1
        world.clock.at += min(LONGEST_ROUND, round_) * SECOND
        for daemon in list(world.daemons.values()):
            _tick(world, daemon)
        world.clock.at += SECOND  # what was launched is over, and is heard of before a long round takes it for late
        for daemon in list(world.daemons.values()):
            _work(world, daemon)
        _confirm(world, world.commander())
        if external:
            world.perform(world.external, "runner", lambda: world.runner.work_off(world.external))
        moving = [row for row in _open(world) if _stuck(row, external=external)]
        if not moving and not world.sender.pending and not world.mirror.rows["timers"]:
            return
    world.stop(
        [
            f"does not come to rest: {[(row['id'], row['status']) for row in _open(world)]}",
            f"pending: {world.sender.pending}, timers: {sorted(world.mirror.rows['timers'])}",
        ]
    )


def _tick(world: World, daemon: Daemon) -> None:
    now = world.clock.now()
    world.perform(daemon, "reconcile", lambda: daemon.reconciler.tick(now))
    world.perform(daemon, "ingest", lambda: world.sender.send(daemon, fresh=False))
    world.perform(daemon, "timers", lambda: daemon.timers.tick(now))
    _work(world, daemon)
    world.perform(daemon, "recover", daemon.queue.recover)
    world.perform(daemon, "approvals", lambda: daemon.approvals.tick(now))
    world.perform(daemon, "audit", lambda: daemon.sealer.tick(now))


def _work(world: World, daemon: Daemon) -> None:
    world.perform(daemon, "worker", lambda: daemon.worker.tick(world.clock.now()))


def _confirm(world: World, program: Program) -> None:
    world.perform(program, "operator", lambda: world.operator.turn(program, confirms=True))


def _open(world: World) -> list[dict[str, object]]:
    return [row for row in world.mirror.rows["actions"].values() if row["status"] not in FINAL]


def _ours(row: dict[str, object]) -> bool:
    return row["executor"] != "external"


def _stuck(row: dict[str, object], *, external: bool) -> str | None:
    """Whether an action waits for nothing that has a name; a blocked one waits for one of its run's (see the invariants)."""
    if row["status"] in ("blocked", "waiting_approval") or (
        row["status"] in CLAIMABLE and not external and not _ours(row)
    ):
        return None
    return f"action {row['id']} is {row['status']} at rest"


def _unsettled(world: World) -> list[str]:
    found = not_in_step(world.outside.tree.files, world.mirror)
    for run in world.mirror.rows["runs"].values():
        waits = any(row["status"] == "waiting_approval" for row in world.mirror.actions_of[run["id"]].values())
        if (
            run["status"] not in OVER
            and not (run["status"] == "waiting_approval" and waits)
            and not _behind(run, world)
        ):
            found.append(f"run {run['id']} is {run['status']} at rest")
    return found


def _behind(run: Row, world: World) -> bool:
    """Whether a run stands in line behind one that waits for an approval."""
    rivals = contenders(world.mirror, (run["automation_uid"], run["slot_key"]))
    return run["slot"] in ("waiting", "returning") and any(each["status"] == "waiting_approval" for each in rivals)


def _judge(world: World, problems: list[str]) -> None:
    if problems:
        world.stop(problems)
