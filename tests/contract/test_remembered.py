"""What is remembered of a tree between plans: warnings come back with their places, and what was sound is not looked at again."""

from pathlib import Path
from typing import Any

from automations.adapters.files import DirectoryTree
from automations.core.spec.catalogue import Catalogue
from automations.core.spec.snapshot import Snapshot
from automations.services.spec.catalogue import catalogue_of, known_stamps
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
