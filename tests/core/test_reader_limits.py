"""The bounds of the strict reader: no file crashes it, stalls it or fills the memory."""

import subprocess
import sys
import textwrap
import time

import pytest

from automations.core.spec.reader import Limits, read


def _found(raw: bytes, file: str = "spec.yaml", **limits: int) -> list[tuple[str, int, int]]:
    reading = read(raw, file, limits=Limits(**limits))
    assert reading.document is None
    return [(each.code, each.span.line, each.span.column) for each in reading.diagnostics]


# Limits: the last value that passes, and the first that does not.
def test_nesting_is_bounded() -> None:
    assert read(b"[" * 40 + b"]" * 40, "f.yaml").document
    assert _found(b"[" * 41 + b"]" * 41) == [("yaml/depth", 1, 41)]
    assert _found(b"[" * 41 + b"]" * 41, "f.json") == [("yaml/depth", 1, 41)]


def test_nesting_through_aliases_is_bounded() -> None:
    chain = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 39))
    assert read(chain.encode(), "f.yaml").document
    assert _found((chain + "a39: [*a38]\n").encode()) == [("yaml/depth", 40, 7)]


def test_the_size_of_a_file_is_bounded() -> None:
    assert read(b"a: 1 #" + b"x" * (1024 * 1024 - 6), "f.yaml").document
    assert _found(b"a: 1 #" + b"x" * (1024 * 1024 - 5)) == [("yaml/size", 1, 1)]


def test_the_number_of_nodes_is_bounded() -> None:
    assert read(b"[" + b"x," * 9 + b"]", "f.yaml", limits=Limits(nodes=10)).document
    assert _found(b"[" + b"x," * 10 + b"]", nodes=10) == [("yaml/nodes", 1, 20)]
    assert _found(b"[" + b"[]," * 10 + b"]", nodes=10) == [("yaml/nodes", 1, 29)]
    assert _found(b"[" + b"x," * 60_000 + b"]")[0][0] == "yaml/nodes"


def test_the_number_of_aliases_is_bounded() -> None:
    assert read(b"- &a x\n" + b"- *a\n" * 50, "f.yaml").document
    assert _found(b"- &a x\n" + b"- *a\n" * 51) == [("yaml/aliases", 52, 3)]


def test_what_aliases_expand_to_is_bounded_in_nodes() -> None:
    assert read(b"- &a [x, y, z]\n- *a\n", "f.yaml", limits=Limits(nodes=9)).document
    assert _found(b"- &a [x, y, z]\n- *a\n", nodes=8) == [("yaml/aliases", 2, 3)]


def test_what_aliases_expand_to_is_bounded_in_characters() -> None:
    text = b"- &a [" + b"x" * 60_000 + b"]\n- &b [" + b"*a, " * 9 + b"]\n- [*b]\n"
    assert _found(text) == [("yaml/aliases", 3, 4)]


def test_a_scalar_is_bounded_in_bytes() -> None:
    assert read(b"a: " + b"x" * 65_536, "f.yaml").document
    assert read(b"a: " + "é".encode() * 32_768, "f.yaml").document
    assert _found(b"a: " + b"x" * 65_537) == [("yaml/scalar-size", 1, 4)]
    assert _found(b"a: " + "é".encode() * 32_769) == [("yaml/scalar-size", 1, 4)]


BOMBS = {
    "dashes on a line": b"- " * 25_000,
    "flow sequences": b"[" * 50_000,
    "flow mappings": b"{a: " * 50_000,
    "question marks": b"? " * 25_000,
    "indentation": b"".join(b" " * i + b"a:\n" for i in range(1400)),
    "aliases of aliases": b"a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
    + b"".join(b"a%d: &a%d [%s]\n" % (i, i, b",".join([b"*a%d" % (i - 1)] * 5)) for i in range(1, 10)),
    "merges of merges": b"m0: &m0 {k0: 1}\n"
    + b"".join(b"m%d: &m%d {<<: [*m%d, *m%d], k%d: 1}\n" % (i, i, i - 1, i - 1, i) for i in range(1, 25)),
    "merges that grow": b"- &m0 {"
    + b",".join(b"k%d: 1" % i for i in range(5000))
    + b"}\n"
    + b"".join(b"- &m%d {<<: *m%d, x%d: 1}\n" % (i, i - 1, i) for i in range(1, 40)),
    "long scalars": b"".join(b"- " + b"x" * 60_000 + b"\n" for _ in range(17)),
    "long scalars repeated": b"- &a " + b"x" * 60_000 + b"\n" + b"- *a\n" * 50,
    "tag directives": b"".join(b"%%TAG !%x! !\n" % i for i in range(60_000)) + b"--- a\n",
    "document markers": b"---\n" * 200_000,
    "digits": b"a: " + b"9" * 60_000,
    "duplicate keys": b"a: 1\n" * 200_000,
    "anchors": b"- &a x\n" * 100_000,
    "quotes": b'"' * 100_001,
}


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("file", ["bomb.yaml", "bomb.json"])
def test_a_bomb_ends_soon_with_findings_or_a_document(name: str, file: str) -> None:
    began = time.perf_counter()
    reading = read(BOMBS[name], file)
    assert (reading.document is None) == bool(reading.diagnostics)
    assert time.perf_counter() - began < 5


def test_bombs_that_crash_recursive_parsers_leave_the_process_alive() -> None:
    program = """
        from automations.core.spec.reader import read
        for raw in (b"- " * 25_000, b"[" * 50_000, b"{a: " * 50_000, b"? " * 25_000):
            for file in ("bomb.yaml", "bomb.json"):
                print(*(each.code for each in read(raw, file).diagnostics))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split().count("yaml/depth") == 5
