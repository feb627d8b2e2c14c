"""Somebody who edits the simulated tree of specs: well, badly, in two steps where one was needed, and with accidents."""

from collections.abc import Callable
from random import Random

from simulation import specs
from simulation.clients import PATHS
from simulation.outside import VirtualTree

KINDS = {"sim.local": "local-shell", "sim.http": "http"}
"""The actions that have a manifest, and what carries them out."""
VERSIONS = ("1.0.0", "1.1.0", "1.2.0", "1.10.0")
PINNED = 6
"""Every how many edits an automation names the versions that are declared just then."""


class Editor:
    """Writes, spoils, moves, renames and removes files of a tree. One that `bumps` gives manifests other versions too."""

    def __init__(self, tree: VirtualTree, random: Random, *, count: Callable[[str], None], bumps: bool = False) -> None:
        self._tree = tree
        self._random = random
        self._count = count
        self._revision = 0
        self._names = 0
        self._kept: dict[str, specs.Text] = {}
        self._bumps = bumps
        self._versions = dict.fromkeys(KINDS, VERSIONS[0])
        for action, kind in KINDS.items():
            tree.files[f"actions/{action}.yaml"] = specs.manifest(action, self._next(), kind=kind)
        for identity, path in (("a1", PATHS[0]), ("a2", None), ("b1", PATHS[1]), ("b2", None), ("c1", PATHS[2])):
            named = specs.Door(path, f"door{path[-1]}") if path and random.random() < 0.7 else None
            self._write(identity, door=named or (specs.Door(path) if path else None))

    def turn(self) -> str:
        """One edit; what it was."""
        if self._tree.trouble is not None and self._random.random() < 0.6:
            self._tree.trouble = None
            return "the tree can be trusted again"
        if self._kept and not self._tree.files:
            self._tree.files.update(self._kept)
            return "the files are back"
        deeds = (
            (self._change, 9), (self._spoil, 4), (self._move, 2), (self._rename, 2), (self._remove, 2), (self._add, 3),
            (self._swap_paths, 1), (self._take_path_over, 1), (self._copy, 1), (self._manifest, 2), (self._trouble, 3),
            (self._empty, 1),
        )  # fmt: skip
        deed = self._random.choices([each for each, _ in deeds], [weight for _, weight in deeds])[0]
        self._count(f"edit{deed.__name__}")
        return f"{deed.__name__.strip('_')} {deed()}"

    def heal(self) -> None:
        """Make the tree trustworthy and every file good; what nobody can read any more goes."""
        self._tree.trouble = None
        self._tree.files.update(self._kept if not self._tree.files else {})
        for name, text in sorted(self._tree.files.items()):
            if name.startswith("actions/"):
                action = name.removeprefix("actions/").removesuffix(".yaml")
                self._put_manifest(action)
            elif text.claims is None:
                del self._tree.files[name]
        seen: set[str | None] = set()
        for name, text in sorted(self._tree.files.items()):
            if not name.startswith("actions/"):
                self._tree.files.pop(name)
                if text.claims not in seen:
                    self._write(text.claims or "", door=None, name=name)
                seen.add(text.claims)

    def _next(self) -> int:
        self._revision += 1
        return self._revision

    def _write(
        self, identity: str, *, door: specs.Door | None, name: str = "", renamed_from: str | None = None
    ) -> None:
        shape = self._random.choice(tuple(specs.SHAPES))
        paused = self._random.random() < 0.05
        limits = self._random.choice(tuple(specs.LIMITS)) if self._random.random() < 0.6 else ""
        sharing, times = self._random.choice(specs.SHARINGS), self._random.choice(specs.TIMES)
        pinned = self._versions if self._bumps and self._revision % PINNED == 0 else {}
        wish = specs.Wish(identity, self._next(), shape, door, renamed_from, paused, limits, sharing, times, pinned)
        self._tree.files[name or f"{identity}.yaml"] = specs.automation(wish)

    def _good(self) -> list[tuple[str, str, specs.Text]]:
        return [
            (name, text.claims, text) for name, text in sorted(self._tree.files.items()) if text.good and text.claims
        ]

    def _pick(self) -> tuple[str, str, specs.Text] | None:
        found = self._good()
        return self._random.choice(found) if found else None

    def _change(self) -> str:
        named = [(name, text) for name, text in sorted(self._tree.files.items()) if text.claims]
        if not named:
            return self._add()
        name, text = self._random.choice(named)
        self._write(text.claims or "", door=text.door, name=name)
        return name

    def _spoil(self) -> str:
        names = sorted(self._tree.files)
        if not names:
            return "nothing"
        name = self._random.choice(names)
        text = self._tree.files[name]
        how = "torn" if text.claims is None or self._random.random() < 0.4 else "mistyped"
        self._tree.files[name] = specs.spoilt(text, self._next(), how=how)
        return f"{name} ({how})"

    def _move(self) -> str:
        found = self._pick()
        if found is None:
            return "nothing"
        self._names += 1
        target = f"moved/{self._names}.yaml"
        self._tree.files[target] = self._tree.files.pop(found[0])
        return f"{found[0]} to {target}"

    def _rename(self) -> str:
        found = self._pick()
        if found is None:
            return "nothing"
        name, identity, text = found
        self._names += 1
        renamed = f"{identity[:1]}n{self._names}"
        del self._tree.files[name]
        self._write(renamed, door=text.door, renamed_from=identity)
        return f"{identity} to {renamed}"

    def _copy(self) -> str:
        """A rename by somebody who has not removed the old file yet, and may go on editing it."""
        found = self._pick()
        if found is None:
            return "nothing"
        self._names += 1
        renamed = f"{found[1][:1]}n{self._names}"
        self._write(renamed, door=None, renamed_from=found[1])
        if self._random.random() < 0.5:
            self._write(found[1], door=found[2].door, name=found[0])
        return f"{found[1]} to {renamed}"

    def _remove(self) -> str:
        found = self._pick()
        if found is None:
            return "nothing"
        del self._tree.files[found[0]]
        return found[0]

    def _add(self) -> str:
        identity = self._random.choice(("a1", "a2", "a3", "b1", "b2", "b3", "c1"))
        if any(text.claims == identity for text in self._tree.files.values()) and self._random.random() < 0.8:
            return "nothing"
        self._write(identity, door=None, name=f"added/{identity}.yaml")
        return identity

    def _swap_paths(self) -> str:
        found = [each for each in self._good() if each[2].door]
        if len(found) < 2:
            return "nothing"
        (name, one, text), (other_name, other, other_text) = self._random.sample(found, 2)
        self._write(one, door=other_text.door, name=name)
        self._write(other, door=text.door, name=other_name)
        return f"{one} and {other}"

    def _take_path_over(self) -> str:
        """One file goes, another takes its webhook's path: the delete is withheld, the path is not free."""
        giving = [each for each in self._good() if each[2].door]
        taking = [each for each in self._good() if not each[2].door]
        if not giving or not taking:
            return "nothing"
        (name, identity, text), (other_name, other, _) = self._random.choice(giving), self._random.choice(taking)
        del self._tree.files[name]
        self._write(other, door=text.door, name=other_name)
        return f"{other} takes {text.door and text.door.path} of {identity}"

    def _manifest(self) -> str:
        action, _ = self._random.choice(tuple(KINDS.items()))
        if self._bumps:
            self._versions[action] = VERSIONS[self._revision % len(VERSIONS)]
        self._put_manifest(action)
        return f"{action}@{self._versions[action]}"

    def _put_manifest(self, action: str) -> None:
        made = specs.manifest(action, self._next(), kind=KINDS[action], version=self._versions[action])
        self._tree.files[f"actions/{action}.yaml"] = made

    def _trouble(self) -> str:
        self._tree.trouble = self._random.choice(("Missing", "Unreadable", "Unstable"))
        return self._tree.trouble

    def _empty(self) -> str:
        self._kept = dict(self._tree.files)
        self._tree.files.clear()
        return f"{len(self._kept)} files"
