"""The guest's first process: makes the overlay root, then opens sessions for the host over one serial line.

Run by the kernel as ``python3 -I -S agent.py`` with LINE and MODULES in the environment (machine.py tells how). It
does by system calls what mount(8), modprobe(8) and ip(8) would do, because a process costs 40 ms in UML.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import signal
import socket
import struct
import sys
import termios

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mnmpls.guests import protocol
else:  # as a script: without the package, whose start would cost 0.3 s in the guest
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import protocol

libc = ctypes.CDLL(None, use_errno=True)

MS_NOSUID, MS_NODEV, MS_RELATIME = 2, 4, 1 << 21
MNT_DETACH = 2
SYS_PIVOT_ROOT, SYS_FINIT_MODULE = 155, 313  # x86_64 (arch/x86/entry/syscalls/syscall_64.tbl)
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1

MODULES = ("mpls_router", "mpls_iptunnel", "mpls_gso", "vrf", "veth", "bridge")
"""Loaded at once: mpls_router because no netlink request loads it, the rest because it is quicker than on demand."""

SYSCTLS = {
    "net/core/fb_tunnels_only_for_init_net": "2",  # else a gre0, ip6tnl0 … in every namespace: half of its making
}

CHUNK = 16384


def check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def mount(source: str, path: str, fstype: str, options: str = "", flags: int = MS_RELATIME) -> None:
    words = (source.encode(), path.encode(), fstype.encode(), flags, os.fsencode(options) or None)
    check(libc.mount(*words), f"mount {fstype} at {path}")


def insert(path: str) -> None:
    """Load one module file; that it is loaded already is no error."""
    fd = os.open(path, os.O_RDONLY)
    try:
        if libc.syscall(SYS_FINIT_MODULE, fd, b"", 0) < 0 and ctypes.get_errno() != 17:  # EEXIST
            check(-1, f"load {path}")
    finally:
        os.close(fd)


def load(tree: str, names: tuple[str, ...]) -> None:
    """Load modules by name with all that they need, as modules.dep says (modules.dep(5)); unknown ones are built in."""
    with open(f"{tree}/modules.dep") as lines:
        needs = {path[path.rfind("/") + 1 : path.find(".ko")]: (path, rest.split())
                 for path, rest in (line.split(":") for line in lines)}
    for name in names:
        path, before = needs.get(name, ("", []))
        for each in [*reversed(before), path]:
            if each:
                insert(f"{tree}/{each}")


def make_root(tree: str) -> int:
    """The root becomes an overlay over the host's tree; everything written goes into memory. Gives a descriptor of
    the folder in which that lands."""
    mount("proc", "/proc", "proc")  # what lies there is the host's own
    with open("/proc/filesystems") as known:
        if "overlay" not in known.read().split():
            insert(f"{tree}/kernel/fs/overlayfs/overlay.ko")  # by path: nothing of modules.dep is needed
    mount("top", "/mnt", "tmpfs", "mode=755")
    for name in ("upper", "work", "root"):
        os.mkdir(f"/mnt/{name}", 0o755)
    mount("root", "/mnt/root", "overlay", "lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work")
    upper = os.open("/mnt/upper", os.O_RDONLY | os.O_DIRECTORY)
    os.chdir("/mnt/root")
    fill_root()
    check(libc.syscall(SYS_PIVOT_ROOT, b".", b"mnt"), "pivot_root")
    os.chdir("/")
    check(libc.umount2(b"/mnt", MNT_DETACH), "umount the host's tree")
    return upper


def fill_root() -> None:
    """Cover the host's live folders. Not /tmp: the user's files may be there; what is written there goes to memory."""
    mount("proc", "proc", "proc")
    mount("sys", "sys", "sysfs")
    mount("dev", "dev", "devtmpfs")
    os.makedirs("dev/pts", exist_ok=True)
    os.makedirs("dev/shm", exist_ok=True)
    mount("pts", "dev/pts", "devpts", "ptmxmode=666,gid=5,mode=620", 0)
    mount("shm", "dev/shm", "tmpfs", "mode=1777")
    mount("run", "run", "tmpfs", "mode=755")
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        if not os.path.lexists(f"dev/{name}"):
            os.symlink(f"/proc/self/fd{target}", f"dev/{name}")


def link_modules(tree: str) -> None:
    """Where modprobe and the kernel's autoload look for modules; the link goes to memory."""
    here = f"/lib/modules/{os.uname().release}"
    if not os.path.isdir(here):
        os.makedirs("/lib/modules", exist_ok=True)
        os.symlink(tree, here)


def set_up_network() -> None:
    for key, value in SYSCTLS.items():
        with open(f"/proc/sys/{key}", "w") as file:
            file.write(value)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for request, flags in ((SIOCGIFFLAGS, 0), (SIOCSIFFLAGS, IFF_UP)):
            fcntl.ioctl(any_socket, request, struct.pack("16sH14x", b"lo", flags))


def open_line(path: str) -> int:
    """The line, with every byte passed as it is (termios(3), raw)."""
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
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
    """One command (or one call of the display): ``pid`` 0 when there is none, ``outputs`` maps what it writes on to
    frame kinds, ``to`` is where its input goes (-1: closed), ``waiting`` what did not fit there yet."""

    def __init__(self, pid: int, to: int, outputs: dict[int, int], terminal: bool) -> None:
        self.pid, self.to, self.outputs, self.terminal = pid, to, outputs, terminal
        self.waiting = bytearray()
        self.ended = False
        self.status: int | None = None


def run_child(argv: list[bytes], cwd: bytes, environment: list[bytes], fds: tuple[int, int, int], terminal: bool) -> None:
    """In the forked child: become the command, or say why not as a shell would (126, 127)."""
    os.setsid()
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
    if terminal:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    for number in (signal.SIGPIPE, signal.SIGCHLD, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    env = dict(item.split(b"=", 1) for item in environment)
    what = cwd
    try:
        os.chdir(cwd)
        what = argv[0]
        os.execvpe(argv[0], argv, env)
    except OSError as error:
        os.write(2, b"mnmpls: in the guest: %s: %s\n" % (what, os.strerror(error.errno or 0).encode()))
        os._exit(127 if error.errno == 2 else 126)


class Agent:
    """Holds the line and the sessions."""

    def __init__(self, line: int, upper: int) -> None:
        self.line, self.upper = line, upper
        self.sessions: dict[int, Session] = {}
        self.buffer = bytearray()
        self.poll = select.poll()
        self.owner: dict[int, int] = {}
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
            for fd, event in self.poll.poll():
                if fd == self.line:
                    self.hear()
                elif fd == self.wake:
                    os.read(self.wake, 4096)
                    self.reap()
                elif fd in self.owner:
                    self.move(self.owner[fd], fd, event)

    def hear(self) -> None:
        self.buffer += os.read(self.line, 65536)
        for kind, number, data in protocol.take(self.buffer):
            if kind in GUEST_WIDE:
                GUEST_WIDE[kind](self, number, data)
            elif number in self.sessions:
                OF_SESSION[kind](self, number, data)

    def set_up(self, number: int, data: bytes) -> None:
        name, *rest = [os.fsdecode(text) for text in protocol.split(data)]
        check(libc.sethostname(name.encode(), len(name.encode())), "sethostname")
        for path, fstype, source, options in zip(*(iter(rest),) * 4, strict=True):
            os.makedirs(path, exist_ok=True)
            mount(source, path, fstype, options)

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
        pid = os.fork()
        if not pid:
            run_child(argv, cwd, environment, theirs, bool(rows))
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
        """Ask poll for what this descriptor is good for now. A pipe to a command is watched for its closing alone."""
        events = select.POLLIN if fd in session.outputs else 0
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
            self.pull(number, session, fd)

    def pull(self, number: int, session: Session, fd: int) -> bool:
        """Pass on what the command wrote; False when there is nothing (more)."""
        try:
            data = os.read(fd, CHUNK)
        except BlockingIOError:
            return False
        except OSError:  # EIO: the last one has closed the terminal
            data = b""
        if data:
            self.send(session.outputs[fd], number, data)
            return True
        del session.outputs[fd]
        if fd == session.to:
            session.to = -1
        self.forget(fd)
        self.finish(number, session)
        return False

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
        elif session.to >= 0:
            self.watch(session, session.to)

    def close_input(self, session: Session) -> None:
        fd, session.to = session.to, -1
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
            self.input(number, file.read())

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
            except ProcessLookupError:
                pass

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
            while self.pull(number, session, fd):
                pass
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

    def end(self, number: int, data: bytes) -> None:
        os.sync()
        self.send(protocol.LOST, 0, protocol.join(lost(self.upper)))


def set_size(fd: int, rows: int, columns: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


NOISE = (b"/dev", b"/proc", b"/run", b"/sys", b"/mnt", b"/lib/modules", b"/usr/lib/modules", b"/var/cache", b"/var/log/wtmp")
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
    protocol.END: Agent.end,
}
OF_SESSION = {
    protocol.IN: Agent.input,
    protocol.FILE: Agent.input_file,
    protocol.SIZE: Agent.size,
    protocol.SIGNAL: Agent.signal,
}


def main() -> None:
    tree = f"{os.environ['MODULES']}/{os.uname().release}"
    upper = make_root(tree)
    link_modules(tree)
    load(tree, MODULES)
    set_up_network()
    Agent(open_line(os.environ["LINE"]), upper).serve()


if __name__ == "__main__":
    main()
