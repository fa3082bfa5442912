"""The pipes between a runworker and its cluster, and processes as the kernel reports them."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from queue_app.runtime import processes
from queue_app.runtime.pipe import VARIABLE, Beat, Keeper, Pipe
from tests.processes import wait_for

# a group leader and its fork in a group of their own; "gone" ends only the leader
FAMILY = """
import os, sys, time
if os.fork() == 0:
    time.sleep(60)
print("ready", flush=True)
sys.stdin.readline() or time.sleep(60)
"""

# its main thread ends; another one lives on
HEADLESS = """
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
ctypes.CDLL(None).pthread_exit(None)
"""


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    keeper = Keeper()
    yield keeper
    keeper.close()


def cluster_side(keeper: Keeper) -> Pipe:
    return Pipe(keeper.variable[VARIABLE])


class TestLifeline:
    def test_what_is_told_is_heard_once_and_in_order(self, keeper: Keeper) -> None:
        line = cluster_side(keeper)
        told = [Beat(7), Beat(8, task="submit job 1", seconds_left=59.5), Beat(9, canary=True)]
        for beat in told:
            line.tell(beat)
        assert list(keeper.beats()) == told
        assert list(keeper.beats()) == []

    def test_it_is_cut_when_the_keeper_lets_go(self, keeper: Keeper) -> None:
        line = cluster_side(keeper)
        assert not line.is_cut()
        keeper.cut()
        assert line.is_cut()

    def test_beats_are_dropped_when_nobody_reads(self, keeper: Keeper) -> None:
        line = cluster_side(keeper)
        for _ in range(5_000):
            line.tell(Beat(7))
        heard = list(keeper.beats())
        assert 100 < len(heard) < 5_000
        assert set(heard) == {Beat(7)}

    def test_without_a_keeper_it_holds_while_the_main_process_lives(self) -> None:
        line = Pipe("")
        line.tell(Beat(7))
        assert (line.is_held, line.is_cut()) == (False, False)


class TestKernel:
    @pytest.fixture
    def family(self) -> Iterator[subprocess.Popen[str]]:
        command = [sys.executable, "-c", FAMILY]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(command, text=True, start_new_session=True, **pipes) as family:  # type: ignore[call-overload]
            assert family.stdout and family.stdout.readline()
            yield family
            processes.end_group(family.pid)

    def test_a_group_is_known_by_its_members_and_ended_as_one(self, family: subprocess.Popen[str]) -> None:
        assert len(processes.members(family.pid)) == 2
        assert processes.end_group(family.pid)
        assert processes.members(family.pid) == []

    def test_a_group_whose_leader_has_gone_is_ended_too(self, family: subprocess.Popen[str]) -> None:
        os.kill(family.pid, signal.SIGKILL)
        wait_for(lambda: len(processes.members(family.pid)) == 1)
        assert processes.end_group(family.pid)

    def test_a_process_that_ended_is_gone_though_nobody_has_reaped_it(self, family: subprocess.Popen[str]) -> None:
        seen = processes.look(family.pid)
        assert seen is not None and seen.is_still_there() and seen.parent == os.getpid()
        os.kill(family.pid, signal.SIGKILL)
        wait_for(lambda: not seen.is_still_there())
        assert processes.command(family.pid) == ""

    @pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="ps lists no threads")
    def test_it_has_not_ended_while_one_of_its_threads_lives_and_holds_its_locks(self, tmp_path: Path) -> None:
        command, lock = [sys.executable, "-c", HEADLESS], (tmp_path / "lock").open("w")
        fcntl.flock(lock, fcntl.LOCK_SH)
        with subprocess.Popen(command, start_new_session=True, pass_fds=[lock.fileno()]) as it:
            lock.close()
            try:
                wait_for(lambda: ") Z " in Path(f"/proc/{it.pid}/stat").read_text(), of="the end of its main thread")
                assert processes.look(it.pid) is not None
            finally:
                assert processes.end_group(it.pid)
        with (tmp_path / "lock").open() as taken:
            fcntl.flock(taken, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def test_it_is_told_from_another_of_its_number_by_its_start(self) -> None:
        me = processes.myself()
        time.sleep(0.05)
        assert processes.look(me.pid) == me
        assert not processes.LivingProcess(me.pid, me.parent, me.group, "long ago").is_still_there()

    def test_ps_says_the_same_where_there_is_no_proc(self, monkeypatch: pytest.MonkeyPatch) -> None:
        me, command = processes.myself(), processes.command(os.getpid())
        assert "python" in command
        monkeypatch.setattr(processes, "_PROC", processes.Path("/nowhere"))
        told = processes.myself()
        assert (told.pid, told.parent, told.group) == (me.pid, me.parent, me.group)
        assert told.pid in [member.pid for member in processes.members(told.group)]
        assert processes.command(me.pid) == command
