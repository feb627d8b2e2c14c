"""What is remembered of a tree between plans: warnings come back with their places, and what was sound is not looked at again."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from automations.adapters.files import DirectoryTree
from automations.core.spec.catalogue import Catalogue, Interpreted
from automations.core.spec.manifests import Shelf
from automations.core.spec.snapshot import Snapshot
from automations.services.spec.catalogue import Progress, catalogue_of, known_stamps, one_by_one
from automations.store import readings
from automations.store.database import Database
from samples import action, raw, spec, step

WARNED = spec("a", actions=[step(input={"n": "${{ event.data.n }}", "v": "${{ vars.n }}"})], vars={"n": 3})


def look(database: Database, folder: Path) -> tuple[Catalogue, list[str]]:
    """What a plan makes of a folder, and which files it read for that."""
    tree = DirectoryTree(folder, shown="specs")
    snapshot = tree.take(known_stamps(database, tree.root))
    assert isinstance(snapshot, Snapshot)
    read = [file.name for file in snapshot.files if file.raw is not None]
    return catalogue_of(database, snapshot, owner="source:default"), read


def write(folder: Path, **documents: Any) -> None:
    for name, document in documents.items():
        (folder / f"{name}.yaml").write_bytes(raw(document))


def test_a_file_with_warnings_is_remembered_with_them(database: Database, tmp_path: Path) -> None:
    write(tmp_path, a=WARNED, b=action())
    first, read = look(database, tmp_path)
    assert [each.code for each in first.diagnostics] == ["spec/no-event-schema"]
    assert read == ["a.yaml", "b.yaml"]
    again, read = look(database, tmp_path)
    assert read == []
    assert again.diagnostics == first.diagnostics


def test_a_file_with_errors_is_read_until_it_is_mended(database: Database, tmp_path: Path) -> None:
    write(tmp_path, a={**WARNED, "vars": {}})
    first, _ = look(database, tmp_path)
    again, _ = look(database, tmp_path)
    assert "spec/unknown-field" in {each.code for each in first.diagnostics}
    assert again.diagnostics == first.diagnostics
    write(tmp_path, a=WARNED)
    mended, _ = look(database, tmp_path)
    assert {each.code for each in mended.diagnostics} == {"spec/no-event-schema", "spec/no-manifest"}


def test_a_changed_manifest_has_its_steps_looked_at_again(database: Database, tmp_path: Path) -> None:
    write(tmp_path, a=WARNED, b=action())
    look(database, tmp_path)
    write(tmp_path, b=action(inputSchema={"type": "object", "properties": {"v": {"type": "string"}}}))
    changed, read = look(database, tmp_path)
    assert read == ["b.yaml"]
    assert "spec/input" in {each.code for each in changed.diagnostics}
    (tmp_path / "b.yaml").unlink()
    gone, _ = look(database, tmp_path)
    assert {each.code for each in gone.diagnostics} == {"spec/no-event-schema", "spec/no-manifest"}


def parsed(database: Database, folder: Path) -> tuple[Catalogue, list[str]]:
    """What a plan makes of a folder, and which files it parsed for that besides manifests."""
    names: list[str] = []

    def reading(
        files: Sequence[tuple[str, bytes]], shelf: Shelf, progress: Progress | None = None
    ) -> list[Interpreted]:
        names.extend(name for name, _ in files)
        return one_by_one(files, shelf, progress)

    tree = DirectoryTree(folder, shown="specs")
    snapshot = tree.take(known_stamps(database, tree.root))
    assert isinstance(snapshot, Snapshot)
    return catalogue_of(database, snapshot, owner="source:default", reading=reading), names


def touch(*files: Path) -> None:
    for file in files:
        os.utime(file, (1_000_000_000, 1_000_000_000))


def test_a_file_whose_times_moved_is_known_by_its_bytes(database: Database, tmp_path: Path) -> None:
    write(tmp_path, a=WARNED, b=action(), c=spec("c"))
    first, names = parsed(database, tmp_path)
    assert names == ["specs/a.yaml", "specs/c.yaml"]
    touch(*tmp_path.iterdir())
    again, names = parsed(database, tmp_path)
    assert names == []
    assert (again.diagnostics, again.digests) == (first.diagnostics, first.digests)
    assert [each.line(("triggers", 0)) for each in again.automations.values()] == [
        each.line(("triggers", 0)) for each in first.automations.values()
    ]
    assert look(database, tmp_path)[1] == []


def test_bytes_of_another_file_are_not_taken_for_this_one(database: Database, tmp_path: Path) -> None:
    write(tmp_path, a=spec("a"), b=spec("b"))
    look(database, tmp_path)
    (tmp_path / "a.yaml").rename(tmp_path / "held")
    (tmp_path / "b.yaml").rename(tmp_path / "a.yaml")
    (tmp_path / "held").rename(tmp_path / "b.yaml")
    swapped, names = parsed(database, tmp_path)
    assert sorted(names) == ["specs/a.yaml", "specs/b.yaml"]
    assert {identity: each.document.file for identity, each in swapped.automations.items()} == {
        "a": "specs/b.yaml",
        "b": "specs/a.yaml",
    }


def test_a_sound_file_that_is_no_longer_sound_is_never_taken_for_what_it_was(
    database: Database, tmp_path: Path
) -> None:
    by_policy = spec("a", actions=[step(approval={"requiresApproval": True, "mode": "policy"})])
    write(tmp_path, a=spec("a"), b=action())
    sound, _ = look(database, tmp_path)
    assert not sound.diagnostics
    write(tmp_path, a=by_policy)
    for _ in range(3):
        warned, _ = look(database, tmp_path)
        assert [each.code for each in warned.diagnostics] == ["spec/not-executed"]
        assert warned.automations["a"].value.digest != sound.automations["a"].value.digest
        touch(tmp_path / "a.yaml")
    write(tmp_path, a=spec("a"))
    mended, _ = look(database, tmp_path)
    assert (mended.diagnostics, mended.digests) == (sound.diagnostics, sound.digests)


def test_what_is_kept_of_all_files_at_once_may_be_older_than_what_is_kept_of_one(
    database: Database, tmp_path: Path
) -> None:
    write(tmp_path, a=spec("a"), b=action())
    look(database, tmp_path)
    root = DirectoryTree(tmp_path).root
    with database.read() as tx:
        older = readings.get(tx, root, "")
    assert older is not None
    write(tmp_path, a=spec("a", version="2.0.0"), b=action(description="another"))
    now, _ = look(database, tmp_path)
    with database.write() as tx:
        readings.put(tx, root, [older])
    for _ in range(2):
        again, read = look(database, tmp_path)
        assert read == []
        assert again.digests == now.digests
        assert again.automations["a"].value.version == "2.0.0"
