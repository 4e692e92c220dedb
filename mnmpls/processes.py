"""The processes of a lab, all in one private PID namespace.

A process in a network namespace keeps that namespace alive. So that nothing outlives a lab, even one whose owner
was killed with SIGKILL, every process of its nodes is a descendant of one tiny init in a PID namespace of its own
(pid_namespaces(7): when the init ends, the kernel kills all the rest), and the init ends with its owner: at the end of
what it reads from it, and by PR_SET_PDEATHSIG unless that would tell of a thread's end. Nothing is ever found or killed
by name.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import select
import shlex
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from .errors import CheckFailed

_CLONE_NEWNS, _CLONE_NEWNET, _CLONE_NEWPID = 0x00020000, 0x40000000, 0x20000000
_PR_SET_PDEATHSIG = 1  # include/uapi/linux/prctl.h
_MS_BIND, _MS_REC, _MS_SLAVE, _MS_NOSUID_NODEV_NOEXEC = 0x1000, 0x4000, 1 << 19, 0x2 | 0x4 | 0x8

# The init ignores SIGCHLD, which makes the kernel reap the orphans that it adopts (wait(2), NOTES). It reads from its
# owner, whose end is then its own even before unshare(1) has told the kernel so, which it does in the forked child.
_WITH_MAIN_THREAD = ("setpriv", "--pdeathsig", "KILL")
_INIT = (
    *("unshare", "--pid", "--fork", "--kill-child"),
    *("env", "--ignore-signal=CHLD", "cat"),
)

LINE_S = 60.0
"""How long a node's ``exec`` line may take."""

NOT_ALLOWED = (
    "nothing was started: these lines run only with --allow-exec (mnmpls up), allow_exec=True (Python) or "
    "MNMPLS_ALLOW_EXEC=1 (mn)"
)

_NR_MOUNT_SETATTR, _AT_RECURSIVE, _MOUNT_ATTR_RDONLY = 442, 0x8000, 1  # one number on all architectures

_libc = ctypes.CDLL(None, use_errno=True)


def make_room(places: int) -> None:
    """For the descriptors that a look at so many namespaces and VRFs takes, in this process and as far as it may; a few
    do not need it, and what is started for them keeps the usual limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < 256 + 6 * places:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _setns(fd: int, kind: int) -> None:
    _check(_libc.setns(fd, kind))


def _mount(what: str, where: str, flags: int) -> None:
    _check(_libc.mount(what.encode(), where.encode(), what.encode(), flags, None))


@dataclass(frozen=True, slots=True)
class Folders:
    """Of a node with daemons, as paths for any process: its mount namespace, and its /run/frr. Where these are another
    kernel's, ``far`` asks there: it takes the name of a function of asking.py, and what that takes."""

    mounts: str
    run: str
    far: Callable[[str, Sequence[Any]], Any] | None = None


class Processes:
    """The PID namespace of the labs that this process owns; made when the first process is wanted."""

    def __init__(self) -> None:
        self._init: subprocess.Popen[bytes] | None = None
        self._fd = -1
        self._starting = threading.Lock()

    @classmethod
    def joined(cls, path: str) -> Processes:
        """Those of another process's lab; ``path`` is what it gave as its own. Raises OSError when the lab is gone."""
        joined = cls()
        joined._fd = os.open(path, os.O_RDONLY)
        return joined

    def path(self) -> str:
        """Where other processes find the namespace: see ``joined``."""
        self._start()
        return f"/proc/{os.getpid()}/fd/{self._fd}"

    def spawn(
        self, argv: list[str], netns: int, mounts: str = "", **how: Any
    ) -> subprocess.Popen[Any]:
        """Start ``argv`` in the network namespace behind descriptor ``netns``; ``how`` goes to subprocess.Popen.

        The process sees /sys and /proc of its own namespaces, in the mount namespace at the path ``mounts`` if one is
        given. Raises OSError as Popen does, and CheckFailed for a joined lab that has ended meanwhile.
        """
        before: Callable[[], None] | None = how.pop("preexec_fn", None)

        def enter() -> None:
            _setns(netns, _CLONE_NEWNET)
            self._enter_mounts(mounts)
            if before:
                before()

        how.setdefault("start_new_session", True)
        try:
            with self._children_inside():
                return subprocess.Popen(argv, preexec_fn=enter, **how)
        except OSError as error:
            if error.errno != errno.ENOMEM or self._init:
                raise
            # No process is born where the init has ended (kernel/pid.c, alloc_pid).
            raise CheckFailed("the lab has ended meanwhile, or this machine has no memory left") from error

    def end(self) -> None:
        """Kill everything that was spawned, and wait until the kernel has done so; a joined namespace lives on."""
        if self._init:
            self._init.kill()
            if self._init.stdin:
                self._init.stdin.close()
            self._init.wait()
        if self._fd >= 0:
            os.close(self._fd)
        self._init, self._fd = None, -1

    def end_within(self, netns: int) -> None:
        """Kill those in the network namespace behind descriptor ``netns``, and wait until the kernel has done so."""
        spaces = {"pid": _space(self._fd), "net": _space(netns)} if self._fd >= 0 else {}
        while found := list(_processes_in(spaces)) if spaces else []:  # some may have forked meanwhile
            for pidfd in found:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                await_readable(pidfd)
                os.close(pidfd)

    @staticmethod
    def _enter_mounts(mounts: str) -> None:
        if mounts:
            fd, here = os.open(mounts, os.O_RDONLY), os.getcwd()
            _setns(fd, _CLONE_NEWNS)  # which leads to the root folder
            os.close(fd)
            with suppress(OSError):  # there may be another file system inside
                os.chdir(here)
            return
        _check(_libc.unshare(_CLONE_NEWNS))
        _check(_libc.mount(None, b"/", None, _MS_REC | _MS_SLAVE, None))
        _mount("sysfs", "/sys", _MS_NOSUID_NODEV_NOEXEC)
        _mount("proc", "/proc", _MS_NOSUID_NODEV_NOEXEC)

    @contextmanager
    def _children_inside(self) -> Iterator[None]:
        """Children forked meanwhile are born in the PID namespace (setns(2): it counts for children only)."""
        self._start()
        own = os.open("/proc/self/ns/pid", os.O_RDONLY)
        try:
            _setns(self._fd, _CLONE_NEWPID)
            yield
        finally:
            _setns(own, _CLONE_NEWPID)
            os.close(own)

    def _start(self) -> None:
        with self._starting:
            if self._fd < 0 or (self._init and self._init.poll() is not None):
                self._start_init()

    def _start_init(self) -> None:
        is_main = threading.current_thread() is threading.main_thread()
        self._init = subprocess.Popen(
            (*_WITH_MAIN_THREAD, *_INIT) if is_main else _INIT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            bufsize=0,
        )
        assert self._init.stdin and self._init.stdout
        with self._init.stdout as answer, suppress(BrokenPipeError):
            self._init.stdin.write(b"\n")
            if answer.read(1):  # it runs, and will end with us
                self._fd = os.open(f"/proc/{self._init.pid}/ns/pid_for_children", os.O_RDONLY)
                return
        raise OSError(self._init.wait(), "the init of the lab's PID namespace did not start")


def await_readable(fd: int) -> None:
    """In a large lab, descriptors are beyond those that select(2) knows."""
    is_readable(fd, None)


def is_readable(fd: int, within_s: float | None = 0.0) -> bool:
    watched = select.poll()
    watched.register(fd, select.POLLIN)
    return bool(watched.poll(within_s if within_s is None else within_s * 1000))


def _space(file: int | str) -> tuple[int, int]:
    """What tells a namespace from others (namespaces(7), NOTES)."""
    found = os.stat(file)
    return found.st_dev, found.st_ino


def _processes_in(spaces: Mapping[str, tuple[int, int]]) -> Iterator[int]:
    """A pidfd of each process that is in all these namespaces, by their kinds."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):  # it has ended, or is about to and has no namespaces any more
            pidfd = os.pidfd_open(int(pid))
            try:
                is_there = all(_space(f"/proc/{pid}/ns/{kind}") == space for kind, space in spaces.items())
            except OSError:
                is_there = False
            if is_there:
                yield pidfd
            else:
                os.close(pidfd)


MEMORY = "mnmpls"
"""What /proc/mounts has for the source of a tmpfs of ours."""


def mount_memory(folder: str, options: str = "") -> None:
    """For a forked child: an empty tmpfs (tmpfs(5)) at ``folder``, called MEMORY."""
    _check(_libc.mount(MEMORY.encode(), folder.encode(), b"tmpfs", _MS_NOSUID_NODEV_NOEXEC, options.encode()))


def mount_again(source: str, target: str) -> None:
    """For a forked child: the file or folder ``source`` is at ``target``, too; at itself it is a mount of its own."""
    _check(_libc.mount(source.encode(), target.encode(), None, _MS_BIND, None))


def forbid_writing(but: Iterable[str]) -> None:
    """For a forked child with mounts of its own: all mounts are read-only to it but those at the folders ``but``
    (mount_setattr(2), Linux 5.12)."""
    _set_read_only("/", True, _AT_RECURSIVE)
    for folder in but:
        _set_read_only(folder, False)


def _set_read_only(folder: str, wanted: bool, flags: int = 0) -> None:
    number = {True: (_MOUNT_ATTR_RDONLY, 0), False: (0, _MOUNT_ATTR_RDONLY)}[wanted]
    attributes = struct.pack("=4Q", *number, 0, 0)  # include/uapi/linux/mount.h, struct mount_attr
    _check(_libc.syscall(_NR_MOUNT_SETATTR, -1, folder.encode(), flags, attributes, len(attributes)))


def unshare_mounts() -> None:
    """For a forked child: what is mounted from now on only it sees."""
    _check(_libc.unshare(_CLONE_NEWNS))


@contextmanager
def dying_with_us(number: int = signal.SIGKILL) -> Iterator[Callable[[], None]]:
    """What children forked meanwhile call: they get this signal when the thread that forked them ends
    (PR_SET_PDEATHSIG), at once if this process has ended before they asked for it."""
    us = os.pidfd_open(os.getpid())

    def die_with_us() -> None:
        _check(_libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0))
        if is_readable(us):
            os.kill(os.getpid(), number)
        os.close(us)

    try:
        yield die_with_us
    finally:
        os.close(us)


def outlive_parent() -> None:
    """From now on it does not."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, 0, 0, 0, 0))


def run_lines(node: str, lines: Iterable[str], popen: Callable[..., subprocess.Popen[Any]]) -> None:
    """A node's ``exec`` lines, in order, their output with our own; ``popen`` starts a command in the node. Each is
    split into words as a shell would, but never given to one. Raises CheckFailed for one that fails."""
    for line in lines:
        print(shown(node, line), file=sys.stderr, flush=True)
        problem = _run_line(shlex.split(line), popen)
        if problem:
            raise CheckFailed(f"{node}: exec: {line}: {problem}")


def shown(node: str, line: str) -> str:
    """A command line of a node's, which may be a script of several: none of them looks like another node's."""
    return f"{node}: {line}".replace("\n", "\n      ")


def _run_line(words: list[str], popen: Callable[..., subprocess.Popen[Any]]) -> str:
    """What went wrong, empty for nothing."""
    try:
        process = popen(words, stdin=subprocess.DEVNULL, stdout=None, stderr=None)
    except OSError as error:
        return error.strerror or str(error)
    try:
        status = process.wait(LINE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return f"still running after {LINE_S:g} s, so it was ended"
    return f"ended with status {status}" if status else ""


def require_exec_allowed(lines: Iterable[tuple[str, str]], allowed: bool) -> None:
    """``lines`` of node and command line come from a lab file that a stranger may have written. Raises CheckFailed
    with all of them unless the user allowed to run them."""
    told = [f"  {shown(node, line)}" for node, line in lines]
    if told and not allowed:
        raise CheckFailed("\n".join(["this lab wants to run in its nodes, with your rights:", *told, NOT_ALLOWED]))
