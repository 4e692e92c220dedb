"""Runs a command whose IP sockets are all bound to a VRF device, also those of static programs and of what it starts:

    /usr/bin/python3 -IS vrf_sockets.py VRF COMMAND ARGUMENT...

``ip vrf exec`` does so with a BPF program on a control group, which needs a mount and a hierarchy that nodes do not
have. Here a seccomp filter (seccomp(2), SECCOMP_RET_USER_NOTIF) hands each socket(2) of an IP family to a supervisor,
which makes the socket, binds it, and puts it into the asking process in the place of the call (seccomp_unotify(2);
SECCOMP_ADDFD_FLAG_SEND, Linux 5.14). The command takes the place of this process, so that its number, streams, terminal
and signals are as without it; the supervisor stands beside and ends with the last process of the filter. If it is
killed, so is the command, and no process of the filter gets a socket any more.

A file of its own that imports nothing of ours: nodes start it often, and a start costs what it imports.
"""

from __future__ import annotations

import array
import ctypes
import errno
import fcntl
import os
import platform
import select
import signal
import socket
import struct
import sys
from typing import NamedTuple, NoReturn

NOT_RUNNABLE, NOT_FOUND = 126, 127
"""Exit statuses for a command that cannot be started, as a shell has them."""


class _Machine(NamedTuple):
    """Numbers of system calls; ``audit`` names the architecture to a filter (include/uapi/linux/audit.h)."""

    audit: int
    seccomp: int
    socket: int
    setgroups: int
    setresgid: int


_MACHINES = {
    "x86_64": _Machine(0xC000003E, 317, 41, 116, 119),
    "aarch64": _Machine(0xC00000B7, 277, 198, 159, 149),
}
_IO_URING_SETUP = 425
_X32_BIT = 0x40000000

# include/uapi/linux/seccomp.h
_SET_MODE_FILTER = 1
_NEW_LISTENER, _WAIT_KILLABLE_RECV = 1 << 3, 1 << 5
_USER_NOTIF, _ALLOW, _ERRNO = 0x7FC00000, 0x7FFF0000, 0x00050000
_CONTINUE, _ADDFD_SEND = 1, 2
_NOTICE = struct.Struct("=QIIiIQ6Q")
_REPLY = struct.Struct("=QqiI")
_ADDFD = struct.Struct("=QIIII")
_RECV, _SEND, _INJECT = (
    way << 30 | form.size << 16 | ord("!") << 8 | number
    for number, way, form in ((0, 3, _NOTICE), (1, 3, _REPLY), (3, 1, _ADDFD))
)

_CAP_NET_RAW = 13
_libc = ctypes.CDLL(None, use_errno=True)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def _filter(machine: _Machine) -> bytes:
    """IP sockets to the supervisor, all else as it is. No IP socket in another way: io_uring makes them unseen, and
    programs of another architecture (the 32-bit ones of this machine) by other calls; both are told that there is no
    such call, which to the former means to do without."""
    load, equal, give = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
    number, audit, family = 0, 4, 16  # offsets in struct seccomp_data
    lines = (
        (load, 0, 0, audit),
        (equal, 1, 0, machine.audit),
        (give, 0, 0, _ERRNO | errno.ENOSYS),
        (load, 0, 0, number),
        (equal, 6, 0, _IO_URING_SETUP),
        (equal, 5, 0, _X32_BIT | machine.socket),
        (equal, 1, 0, machine.socket),
        (give, 0, 0, _ALLOW),
        (load, 0, 0, family),
        (equal, 2, 0, socket.AF_INET),
        (equal, 1, 2, socket.AF_INET6),
        (give, 0, 0, _ERRNO | errno.ENOSYS),
        (give, 0, 0, _USER_NOTIF),
        (give, 0, 0, _ALLOW),
    )
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def _install(machine: _Machine) -> int:
    """The filter on this process and all that it starts; gives the descriptor at which its notices are heard."""
    code = _filter(machine)
    program = _Program(len(code) // 8, code)
    for flags in (_NEW_LISTENER | _WAIT_KILLABLE_RECV, _NEW_LISTENER):  # the former since Linux 5.19
        listener = int(_libc.syscall(machine.seccomp, _SET_MODE_FILTER, flags, ctypes.byref(program)))
        if listener >= 0:
            return listener
        if ctypes.get_errno() != errno.EINVAL:
            break
    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Supervisor:
    """Answers notices until no process with the filter is left."""

    def __init__(self, vrf: str, machine: _Machine, listener: int) -> None:
        self.vrf, self.machine, self.listener = vrf.encode() + b"\0", machine, listener
        self.namespace = os.stat("/proc/self/ns/net").st_ino

    def run(self) -> None:
        poll = select.poll()
        poll.register(self.listener, select.POLLIN)
        while not poll.poll()[0][1] & select.POLLHUP:
            notice = bytearray(_NOTICE.size)
            try:
                fcntl.ioctl(self.listener, _RECV, notice)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.EINTR):  # ENOENT: who asked has been interrupted meanwhile
                    raise
                continue
            self.answer(notice)

    def answer(self, notice: bytearray) -> None:
        key, pid, _, _, _, _, family, kind, proto, *_ = _NOTICE.unpack(notice)
        try:
            made = self.make(pid, family & 0xFFFFFFFF, kind & 0xFFFFFFFF, proto & 0xFFFFFFFF)
            if made is None:
                return self.reply(_SEND, _REPLY.pack(key, 0, 0, _CONTINUE))
            with made:
                cloexec = os.O_CLOEXEC if kind & socket.SOCK_CLOEXEC else 0
                self.reply(_INJECT, _ADDFD.pack(key, _ADDFD_SEND, made.fileno(), 0, cloexec))
        except OSError as error:
            self.reply(_SEND, _REPLY.pack(key, 0, -(error.errno or errno.EIO), 0))

    def reply(self, request: int, message: bytes) -> None:
        """ENOENT: the asking thread is gone, or asks again after a signal."""
        try:
            fcntl.ioctl(self.listener, request, bytearray(message))
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise

    def make(self, pid: int, family: int, kind: int, proto: int) -> socket.socket | None:
        """The bound socket; None where the call shall go on as it is: in a namespace that is not the VRF's, and where
        the kernel is going to refuse it."""
        try:
            if os.stat(f"/proc/{pid}/ns/net").st_ino != self.namespace:
                return None
            with open(f"/proc/{pid}/status") as file:
                status = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
        except OSError as error:
            raise OSError(errno.EINTR, "the asking process is gone") from error
        if kind & 0xF == socket.SOCK_RAW and not int(status["CapEff"], 16) >> _CAP_NET_RAW & 1:
            return None
        with _Groups(self.machine, int(status["Gid"].split()[1]), [int(one) for one in status["Groups"].split()]):
            made = socket.socket(family, kind, proto)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self.vrf)
        except OSError:
            made.close()
            raise
        return made


class _Groups:
    """In the block this thread is in the asker's groups: who may have an ICMP socket is a question of groups
    (net.ipv4.ping_group_range). The system calls themselves: glibc's functions change all threads, and check more."""

    def __init__(self, machine: _Machine, gid: int, groups: list[int]) -> None:
        self.machine, self.wanted, self.own = machine, (gid, groups), (os.getegid(), os.getgroups())

    def __enter__(self) -> None:
        self.take(*self.wanted)

    def __exit__(self, *_: object) -> None:
        self.take(*self.own)

    def take(self, gid: int, groups: list[int]) -> None:
        if self.wanted != self.own:
            many = array.array("I", groups)
            _libc.syscall(self.machine.setgroups, len(groups), many.buffer_info()[0])
            _libc.syscall(self.machine.setresgid, -1, gid, -1)


def _supervise(vrf: str, machine: _Machine, line: socket.socket, life: int) -> NoReturn:
    """In the supervisor's process: by itself, without the command's streams and terminal."""
    status = 1
    try:
        os.setsid()
        os.chdir("/")
        _, (listener, *_), _, _ = socket.recv_fds(line, 1, 1)
        keep = sorted((listener, life))
        for first, last in ((0, keep[0]), (keep[0] + 1, keep[1]), (keep[1] + 1, 2**31 - 1)):
            os.closerange(first, min(last, os.sysconf("SC_OPEN_MAX")))
        Supervisor(vrf, machine, listener).run()
        status = 0
    finally:
        os._exit(status)


def _start_supervisor(vrf: str, machine: _Machine) -> tuple[socket.socket, int]:
    """A child of nobody here: the command shall not find one that it has not started. Gives the line to it, and the
    end of a pipe that is closed on the other side when it ends."""
    ours, theirs = socket.socketpair()
    death, life = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(death)
        ours.close()
        if os.fork() == 0:
            _supervise(vrf, machine, theirs, life)
        os._exit(0)
    os.waitpid(child, 0)
    os.close(life)
    theirs.close()
    return ours, death


def _die_with(death: int) -> None:
    """The kernel kills this process when the pipe's other end is closed, which is with the supervisor: a signal of
    our choice for a descriptor's news (fcntl(2), F_SETSIG). The descriptor goes on to the command."""
    os.set_inheritable(death, True)
    fcntl.fcntl(death, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(death, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(death, fcntl.F_SETFL, fcntl.fcntl(death, fcntl.F_GETFL) | os.O_ASYNC)


def _enter(vrf: str) -> None:
    """This process's IP sockets are in ``vrf`` from now on. Raises OSError, with a text for the user."""
    if platform.machine() not in _MACHINES:
        raise OSError(errno.ENOSYS, f"not known how on {platform.machine()}, only on {', '.join(_MACHINES)}")
    machine = _MACHINES[platform.machine()]
    line, death = _start_supervisor(vrf, machine)
    try:
        listener = _install(machine)
    except OSError as error:
        raise OSError(error.errno, _REASONS.get(error.errno or 0, error.strerror)) from error
    socket.send_fds(line, [b"!"], [listener])
    line.close()
    os.close(listener)
    _die_with(death)


_REASONS = {
    errno.EBUSY: "it runs in a VRF already, or under another supervisor of its system calls",
    errno.EINVAL: "this kernel has no seccomp user notification (CONFIG_SECCOMP_FILTER, Linux 5.14)",
    errno.ENOSYS: "this kernel has no seccomp (CONFIG_SECCOMP_FILTER)",
    errno.EACCES: "only root may",
}


def main(vrf: str, command: list[str]) -> int:
    """Becomes the command; gives an exit status when it cannot."""
    try:
        _enter(vrf)
    except OSError as error:
        print(f"mnmpls: cannot run {command[0]} in VRF {vrf}: {error.strerror}", file=sys.stderr)
        return NOT_RUNNABLE
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and what is ignored stays so
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"mnmpls: {command[0]}: {error.strerror}", file=sys.stderr)
        return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_RUNNABLE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
