"""A process that is told to end hears it, whichever moment the signal comes at."""

import subprocess
import sys

TOLD = """
import os, random, signal, sys, threading
from automations.daemon.ending import Ending

sys.setswitchinterval(1e-6)
for number in range(300):
    ending = Ending()
    signal.signal(signal.SIGUSR1, lambda *_: ending.tell())

    def tell():
        for _ in range(random.randrange(400)):
            pass
        os.kill(os.getpid(), signal.SIGUSR1)

    teller = threading.Thread(target=tell)
    teller.start()
    ending.wait()
    teller.join()
"""


def test_a_signal_is_heard_even_when_it_comes_as_the_wait_begins_or_to_another_thread() -> None:
    assert subprocess.run([sys.executable, "-c", TOLD], timeout=100, check=False).returncode == 0
