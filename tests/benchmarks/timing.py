"""Runs one command and prints its wall seconds, processor seconds and peak memory (KiB): `timing.py COMMAND…`.

A process of its own, run with `-I -S`, because a command's peak memory is counted from its parent's: this parent is small.
"""

import os
import sys
import time

null = os.open(os.devnull, os.O_WRONLY)
started = time.perf_counter()
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, null, 1)])
_, status, used = os.wait4(pid, 0)
print(time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss, os.waitstatus_to_exitcode(status))
