"""The guest's root and network: what mount(8), modprobe(8) and ip(8) would do, by system calls, because a process costs
40 ms in UML. Used by agent.py alone, in the guest."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct

libc = ctypes.CDLL(None, use_errno=True)

MS_NOSUID, MS_NODEV, MS_RELATIME = 2, 4, 1 << 21
MNT_DETACH = 2
SYS_PIVOT_ROOT, SYS_FINIT_MODULE = 155, 313  # x86_64 (arch/x86/entry/syscalls/syscall_64.tbl)
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1

MODULES = ("mpls_router", "mpls_iptunnel", "mpls_gso", "vrf", "veth", "bridge")
"""Loaded at once: mpls_router because no netlink request loads it, the rest because it is quicker than on demand."""

SYSCTLS = {
    "kernel/hotplug": "\n",  # else UML's kernel forks a helper, which does not exist, for each interface of each lab
    # One table for all namespaces, of 1024 entries else: the hosts of a large lab have more neighbours together.
    **{f"net/ipv{version}/neigh/default/gc_thresh{number}": "65536" for version in (4, 6) for number in (3, 2, 1)},
    "net/core/fb_tunnels_only_for_init_net": "2",  # else a gre0, ip6tnl0 … in every namespace: half of its making
}

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
        if os.path.exists(f"/proc/sys/{key}"):  # Debian's own kernel has no hotplug helper (CONFIG_UEVENT_HELPER)
            with open(f"/proc/sys/{key}", "w") as file:
                file.write(value)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for request, flags in ((SIOCGIFFLAGS, 0), (SIOCSIFFLAGS, IFF_UP)):
            fcntl.ioctl(any_socket, request, struct.pack("16sH14x", b"lo", flags))


def boot() -> int:
    """Everything before the first session. Gives a descriptor of the folder in which all that is written lands."""
    tree = f"{os.environ['MODULES']}/{os.uname().release}"
    upper = make_root(tree)
    link_modules(tree)
    load(tree, MODULES)
    set_up_network()
    return upper


def set_host_name(name: bytes) -> None:
    check(libc.sethostname(name, len(name)), "sethostname")
