"""Who listens on a port that we were refused: looked up only to say so, and never an error of its own."""

import http.client
import json
import os
from contextlib import suppress
from pathlib import Path

_SECONDS = 1.0
_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LISTENING = "0A"
_LONGEST = 120
"""Characters of a program's name that are shown."""


def holder(host: str, port: int) -> str:
    """What listens there, in words that follow "it is held by"; empty when that cannot be told."""
    process = _process(port)
    ours = "another automations daemon" if _is_ours(host, port) else ""
    return " ".join(filter(None, (ours, f"({process})" if ours and process else process)))


def _is_ours(host: str, port: int) -> bool:
    """Whether what answers there says that it is this program."""
    connection = http.client.HTTPConnection(host, port, timeout=_SECONDS)
    try:
        connection.request("GET", "/healthz")
        body = json.loads(connection.getresponse().read(4096))
        return isinstance(body, dict) and body.get("service") == "automations"
    except (OSError, ValueError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _process(port: int) -> str:
    """`process 123: program`, where the system shows it: on Linux, for processes that we may look into; never its options."""
    wanted = {f"socket:[{inode}]" for inode in _inodes(port)}
    for entry in Path("/proc").glob("[0-9]*") if wanted else ():
        with suppress(OSError):
            if any(os.readlink(link) in wanted for link in (entry / "fd").iterdir()):  # noqa: PTH115  # a text is enough
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")[:2]
                program = " ".join(Path(each).name for each in words if not each.startswith("-"))
                return f"process {entry.name}: {program[:_LONGEST]}".removesuffix(": ")
    return ""


def _inodes(port: int) -> set[str]:
    """The sockets that listen on a port, by the columns of /proc/net/tcp. Source: proc(5)."""
    found = set()
    for table in _TABLES:
        with suppress(OSError):
            for line in table.read_text().splitlines()[1:]:
                columns = line.split()
                if columns[3] == _LISTENING and int(columns[1].rpartition(":")[2], 16) == port:
                    found.add(columns[9])
    return found
