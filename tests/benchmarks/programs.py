"""The program inside this process, on a store of its own, for paths whose start-up is not the question."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from automations.adapters.collector import collector_paused
from automations.adapters.files import DirectoryTree
from automations.adapters.reading import read_all
from automations.core.plan.plan import Plan, Request
from automations.core.plan.state import source_owner
from automations.core.spec.snapshot import Snapshot
from automations.runtime import Runtime, open_runtime
from automations.services.plan.apply import Authority
from automations.services.plan.plan import plan
from automations.services.spec.catalogue import catalogue_of, known_stamps
from automations.settings import load

SOURCE = "default"


@contextmanager
def opened(root: Path) -> Iterator[Runtime]:
    """The wired program on the store in `root`."""
    runtime = open_runtime(load({"HASNA_AUTOMATIONS_DIR": str(root), "AUTOMATIONS_ACTOR": "bench"}))
    try:
        yield runtime
    finally:
        runtime.close()


def planned(runtime: Runtime, tree: Path) -> Plan:
    """What `automations plan` works out, without its start and its output."""
    directory = DirectoryTree(tree)
    with collector_paused():
        snapshot = directory.take(known_stamps(runtime.database, directory.root))
        assert isinstance(snapshot, Snapshot), snapshot
        catalogue = catalogue_of(runtime.database, snapshot, owner=source_owner(SOURCE), reading=read_all)
        now = runtime.clock.now()
        made = plan(runtime.database, catalogue, Request(SOURCE, now=now), prefix=snapshot.prefix)
    assert made.sound, made.diagnostics[:3]
    return made


def applied(runtime: Runtime, tree: Path) -> int:
    """Apply a tree; how many changes that were."""
    return runtime.apply.strict(planned(runtime, tree), Authority("bench"), prefix=DirectoryTree(tree).prefix).changes
