"""The guest's first process: makes the root (boot.py), then opens sessions for the host over one serial line.

Run by the kernel as ``python3 -I -S agent.py`` with LINE and MODULES in the environment (machine.py tells how).
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import sys
import termios

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from mnmpls.guests import boot, protocol
else:  # as a script: without the package, whose start would cost 0.3 s in the guest
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import boot
    import protocol

CHUNK = 16384
DRAIN_BYTES = 1 << 20
"""More than a pipe holds: what a command wrote before its end is within."""


def open_line(path: str) -> int:
    """The line, with every byte passed as it is (termios(3), raw)."""
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    if not os.isatty(fd):  # QEMU: a virtio port, which has no modes
        return fd
    mode = termios.tcgetattr(fd)
    mode[0] = mode[1] = mode[3] = 0
    mode[2] = termios.CS8 | termios.CREAD | termios.CLOCAL
    mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
    termios.tcsetattr(fd, termios.TCSANOW, mode)
    return fd


def write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


class Session:
    """One command (``pid`` 0: a call of the user's display). ``outputs`` maps what it writes on to frame kinds, ``to``
    is where its input goes (-1: closed), ``waiting`` what did not fit there yet, ``unwritten`` how much of what it
    wrote the host has not passed on."""

    def __init__(self, pid: int, to: int, outputs: dict[int, int], terminal: bool) -> None:
        self.pid, self.to, self.outputs, self.terminal = pid, to, outputs, terminal
        self.waiting = bytearray()
        self.unwritten = 0
        self.ended = False
        self.status: int | None = None


def run_child(
    argv: list[bytes], cwd: bytes, environment: list[bytes], fds: tuple[int, int, int], terminal: bool
) -> None:
    """In the forked child, with all signals blocked: become the command, or say why not as a shell would (126, 127)."""
    os.setsid()
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
    if terminal:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    for number in (signal.SIGPIPE, signal.SIGCHLD, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # what has come by now is the command's
    env = dict(item.split(b"=", 1) for item in environment)
    what = cwd
    try:
        os.chdir(cwd)
        what = argv[0]
        os.execvpe(argv[0], argv, env)
    except OSError as error:
        os.write(2, b"mnmpls: in the guest: %s: %s\n" % (what, os.strerror(error.errno or 0).encode()))
        os._exit(127 if error.errno == 2 else 126)
    finally:  # the child must in no case go on as a second agent
        os._exit(126)


class Agent:
    """Holds the line and the sessions."""

    def __init__(self, line: int, upper: int) -> None:
        self.line, self.upper = line, upper
        self.sessions: dict[int, Session] = {}
        self.buffer = bytearray()
        self.poll = select.poll()
        self.owner: dict[int, int] = {}
        self.displays: dict[int, tuple[Callable[[], tuple[socket.socket, object]], bytes]] = {}
        self.calls = protocol.FIRST_CALL
        self.wake, wake_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.signal(signal.SIGCHLD, lambda number, where: None)
        signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)
        self.poll.register(line, select.POLLIN)
        self.poll.register(self.wake, select.POLLIN)

    def send(self, kind: int, session: int, data: bytes = b"") -> None:
        write_all(self.line, protocol.frame(kind, session, data))

    def serve(self) -> None:
        self.send(protocol.READY, 0, os.uname().release.encode())
        while True:
            known = [(fd, event, self.owner.get(fd)) for fd, event in self.poll.poll()]
            for fd, event, owner in known:
                if fd == self.line:
                    self.hear()
                elif fd == self.wake:
                    os.read(self.wake, 4096)
                    self.reap()
                elif fd in self.displays:
                    self.call(*self.displays[fd])
                elif owner is not None and self.owner.get(fd) == owner:  # else it is another one's meanwhile
                    self.move(owner, fd, event)

    def hear(self) -> None:
        data = os.read(self.line, 65536)
        self.send(protocol.HEARD, 0, b"%d" % len(data))
        self.buffer += data
        for kind, number, data in protocol.take(self.buffer):
            if kind in GUEST_WIDE:
                GUEST_WIDE[kind](self, number, data)
            elif number in self.sessions:
                OF_SESSION[kind](self, number, data)

    def set_up(self, number: int, data: bytes) -> None:
        name, *rest = [os.fsdecode(text) for text in protocol.split(data)]
        boot.set_host_name(name.encode())
        for path, fstype, source, options in zip(*(iter(rest),) * 4, strict=True):
            os.makedirs(path, exist_ok=True)
            boot.mount(source, path, fstype, options)

    def alive(self, number: int, data: bytes) -> None:
        self.send(protocol.ALIVE, number, data)

    def open(self, number: int, data: bytes) -> None:
        """Start a command: working folder, rows and columns (empty: pipes), whether its errors go apart from its
        terminal, count of arguments, arguments, environment."""
        cwd, rows, columns, apart, count, *texts = protocol.split(data)
        argv, environment = texts[: int(count)], texts[int(count) :]
        if rows:
            to, stdin = os.openpty()
            set_size(to, int(rows), int(columns))
            out, stdout, stderr = to, stdin, stdin
        else:
            (stdin, to), (out, stdout) = os.pipe(), os.pipe()
        outputs = {out: protocol.OUT}
        if apart or not rows:
            err, stderr = os.pipe()
            outputs[err] = protocol.ERR
        theirs = (stdin, stdout, stderr)
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        pid = os.fork()
        if not pid:
            run_child(argv, cwd, environment, theirs, bool(rows))
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        for fd in set(theirs):
            os.close(fd)
        self.add(number, Session(pid, to, outputs, bool(rows)))

    def add(self, number: int, session: Session) -> None:
        self.sessions[number] = session
        for fd in {session.to, *session.outputs}:
            os.set_blocking(fd, False)
            self.owner[fd] = number
            self.watch(session, fd)

    def watch(self, session: Session, fd: int) -> None:
        """Ask poll for what this descriptor is good for now. A pipe to a command is watched for its closing alone, and
        output beyond the window waits, so that a session whose output nobody takes holds up no other."""
        events = select.POLLIN if fd in session.outputs and session.unwritten < protocol.WINDOW_BYTES else 0
        if fd == session.to and session.waiting:
            events |= select.POLLOUT
        self.poll.register(fd, events)

    def forget(self, fd: int) -> None:
        self.poll.unregister(fd)
        del self.owner[fd]
        os.close(fd)

    def move(self, number: int, fd: int, event: int) -> None:
        session = self.sessions[number]
        if fd == session.to and event & (select.POLLOUT | select.POLLERR):
            session.ended = session.ended or bool(event & select.POLLERR)
            self.push(number, session)
        if fd in session.outputs and event & (select.POLLIN | select.POLLHUP | select.POLLERR):
            for other, kind in list(session.outputs.items()):  # a complaint comes before what was written after it
                if kind == protocol.ERR and other != fd:
                    self.pull(number, session, other)
            self.pull(number, session, fd)

    def pull(self, number: int, session: Session, fd: int) -> int:
        """Pass on what the command wrote; gives how much, 0 when there is nothing (more)."""
        try:
            data = os.read(fd, CHUNK)
        except BlockingIOError:
            return 0
        except OSError:  # EIO: the last one has closed the terminal
            data = b""
        if data:
            self.send(session.outputs[fd], number, data)
            session.unwritten += len(data)
            if session.unwritten >= protocol.WINDOW_BYTES:
                self.watch(session, fd)
            return len(data)
        del session.outputs[fd]
        if fd == session.to:
            session.to = -1
        self.forget(fd)
        self.finish(number, session)
        return 0

    def push(self, number: int, session: Session) -> None:
        """Give the command of its input what it takes now."""
        try:
            done = os.write(session.to, session.waiting) if session.waiting else 0
        except BlockingIOError:
            done = 0
        except OSError:  # nobody reads it any more: take and drop it, as a broken pipe would
            done, session.ended = len(session.waiting), True
        del session.waiting[:done]
        if done:
            self.send(protocol.TOOK, number, b"%d" % done)
        if session.ended and not session.waiting:
            self.close_input(session)
            self.finish(number, session)
        elif session.to >= 0:
            self.watch(session, session.to)

    def close_input(self, session: Session) -> None:
        fd, session.to = session.to, -1
        if not session.pid:
            session.outputs.pop(fd, None)  # one socket for both directions
        if fd >= 0 and fd not in session.outputs:
            self.forget(fd)

    def input(self, number: int, data: bytes) -> None:
        session = self.sessions[number]
        session.ended = session.ended or not data
        session.waiting += data
        if session.to >= 0:
            self.push(number, session)
        elif data:
            session.waiting.clear()
            self.send(protocol.TOOK, number, b"%d" % len(data))

    def input_file(self, number: int, data: bytes) -> None:
        with open(data, "rb") as file:
            content = file.read()
        os.unlink(data)
        self.input(number, content)

    def wrote(self, number: int, data: bytes) -> None:
        session = self.sessions[number]
        session.unwritten -= int(data)
        for fd in session.outputs:
            self.watch(session, fd)

    def size(self, number: int, data: bytes) -> None:
        session = self.sessions[number]
        if session.terminal and session.to >= 0:
            rows, columns = protocol.split(data)
            set_size(session.to, int(rows), int(columns))

    def signal(self, number: int, data: bytes) -> None:
        session = self.sessions[number]
        if session.status is None:
            try:
                os.killpg(session.pid, int(data))
            except ProcessLookupError:  # it has only just been forked, and leads no group yet
                os.kill(session.pid, int(data))

    def reap(self) -> None:
        """Collect ended children, orphans too: we are the first process."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            for number, session in list(self.sessions.items()):
                if session.pid == pid:
                    code = os.waitstatus_to_exitcode(status)
                    session.status = code if code >= 0 else 128 - code
                    self.drain(number, session)

    def drain(self, number: int, session: Session) -> None:
        """The command has ended: what it wrote is passed on. What its children go on writing is not waited for."""
        for fd in list(session.outputs):
            drained = 0
            while drained < DRAIN_BYTES and (count := self.pull(number, session, fd)):
                drained += count
        for fd in list(session.outputs):
            del session.outputs[fd]
            if fd == session.to:
                session.to = -1
            self.forget(fd)
        self.finish(number, session)

    def finish(self, number: int, session: Session) -> None:
        if session.status is None or session.outputs or number not in self.sessions:
            return
        self.close_input(session)
        del self.sessions[number]
        self.send(protocol.EXIT, number, b"%d" % session.status)

    def offer_display(self, number: int, data: bytes) -> None:
        """Listen where X clients look for this display; its server is at the line's other end."""
        import socket  # only for who has a display: it costs the start 30 ms

        folder = "/tmp/.X11-unix"
        server = socket.socket(socket.AF_UNIX)
        try:
            os.makedirs(folder, exist_ok=True)
            if not self.displays:  # the host's own sockets, which do not cross into a guest, would be in the way
                boot.mount("displays", folder, "tmpfs", "mode=1777")
            server.bind(f"{folder}/X{int(data)}")
            os.chmod(server.getsockname(), 0o777)
            server.listen(16)
        except OSError:  # no display is no reason to end
            server.close()
            return
        self.displays[server.fileno()] = (server.accept, data)
        self.poll.register(server, select.POLLIN)

    def call(self, accept: Callable[[], tuple[socket.socket, object]], display: bytes) -> None:
        fd = accept()[0].detach()
        self.calls += 1
        session = Session(0, fd, {fd: protocol.OUT}, False)
        session.status = 0
        self.send(protocol.CALL, self.calls, display)
        self.add(self.calls, session)

    def end(self, number: int, data: bytes) -> None:
        os.sync()
        self.send(protocol.LOST, 0, protocol.join(lost(self.upper)))


def set_size(fd: int, rows: int, columns: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


NOISE = (
    b"/dev", b"/proc", b"/run", b"/sys", b"/mnt", b"/lib/modules", b"/usr/lib/modules", b"/var/cache", b"/var/log/wtmp",
)
NOISE_NAMES = (b"__pycache__", b".pytest_cache", b".X11-unix", b".bash_history", b".lesshst", b".viminfo", b".ICE-unix")


def lost(upper: int, path: bytes = b"") -> list[bytes]:
    """Files written or removed in the guest that somebody may miss, as the overlay's upper layer has them."""
    found = []
    with os.scandir(upper) as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            name = os.fsencode(entry.name)
            full = path + b"/" + name
            if full in NOISE or name in NOISE_NAMES:
                continue
            if not entry.is_dir(follow_symlinks=False):
                found.append(full)
                continue
            fd = os.open(entry.name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=upper)
            found += lost(fd, full)
            os.close(fd)
    return found


GUEST_WIDE = {
    protocol.SETUP: Agent.set_up,
    protocol.OPEN: Agent.open,
    protocol.PING: Agent.alive,
    protocol.DISPLAY: Agent.offer_display,
    protocol.END: Agent.end,
}
OF_SESSION = {
    protocol.IN: Agent.input,
    protocol.FILE: Agent.input_file,
    protocol.SIZE: Agent.size,
    protocol.SIGNAL: Agent.signal,
    protocol.WROTE: Agent.wrote,
}


def main() -> None:
    upper = boot.boot()
    Agent(open_line(os.environ["LINE"]), upper).serve()


if __name__ == "__main__":
    main()
