"""A process is alive as long as anything of it is: only then its port and its locks are free."""

import os
import signal
import subprocess
import sys
import time

from mevflow.processes.background import ProcessId

#: The first thread ends; another goes on for as long as the process lives.
_LEADERLESS = """
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
print("ready", flush=True)
ctypes.CDLL(None).pthread_exit(None)
"""


def _leader_state(pid: int) -> str:
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


def test_a_process_whose_first_thread_has_ended_is_alive_until_the_last_one_has():
    with subprocess.Popen([sys.executable, "-c", _LEADERLESS], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        while _leader_state(process.pid) != "Z":
            time.sleep(0.01)
        found = ProcessId.of(process.pid)
        assert found is not None
        assert found.alive
        os.kill(process.pid, signal.SIGKILL)
        assert found.wait(30)
        assert ProcessId.of(process.pid) is None  # a zombie that nobody has waited for is no process


def test_a_recycled_pid_is_another_process():
    me = ProcessId.of(os.getpid())
    assert me.alive
    assert not ProcessId(me.pid, me.started - 1).alive
