"""How to start Debian's own kernel in QEMU: slower than UML without KVM, but it runs where UML does not."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from mnmpls.guests import qemu_initramfs
from mnmpls.guests.build import AGENT, built
from mnmpls.guests.host import BASICS
from mnmpls.guests.machine import LOWEST_FD, Backend, Boot, Door, Machine

EMULATOR = "qemu-system-x86_64"
PYTHON = "/usr/bin/python3"
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
LINE = "/dev/vport0p1"

TREES = ("/usr/local/lib/mnmpls/linux", "")
"""Where boot/ and lib/modules/ may be: what `make setup` unpacked, then what the machine itself boots from."""

NEEDED = (*qemu_initramfs.MODULES, "mpls_router", "mpls_iptunnel", "vrf", "veth", "bridge")

SHARE = "trans=virtio,version=9p2000.L,msize=512000"


@dataclass(frozen=True)
class Kernel:
    """``image`` as QEMU loads it, ``modules`` the folder that has one of the release's name."""

    release: str
    image: str
    modules: str


def kernels() -> Iterator[Kernel]:
    """Kernels with their modules, the best first: in the order of TREES, newest first. An unpacked image (vmlinux) is
    better than a compressed one, whose unpacking an emulated CPU does in 3 s."""
    for tree in TREES:
        folder = f"{tree}/boot"
        names = os.listdir(folder) if os.path.isdir(folder) else []
        for name in sorted(names, key=newest_first, reverse=True):
            kind, _, release = name.partition("-")
            if kind in ("vmlinux", "vmlinuz") and os.path.exists(f"{tree}/lib/modules/{release}/modules.dep"):
                yield Kernel(release, f"{folder}/{name}", f"{tree}/lib/modules")


def newest_first(name: str) -> tuple[list[int], bool]:
    kind, _, release = name.partition("-")
    return [int(number) for number in re.findall(r"\d+", release)], kind == "vmlinux"


@cache
def choose_kernel() -> tuple[Kernel | None, str]:
    """The kernel to boot; or none, and why."""
    reasons = []
    for kernel in kernels():
        lacking = qemu_initramfs.missing(f"{kernel.modules}/{kernel.release}", NEEDED)
        if not lacking and os.access(kernel.image, os.R_OK):
            return kernel, ""
        why = f"lacks the modules {', '.join(lacking)}" if lacking else "is not readable"
        reasons.append(f"{kernel.image} {why}")
    return None, "; ".join(reasons) or f"no kernel with its modules in {' or '.join(f'{tree}/boot' for tree in TREES)}"


def problem() -> str:
    if not shutil.which(EMULATOR, path=PATH):
        return f"{EMULATOR} is not installed (apt-get install qemu-system-x86)"
    kernel, why = choose_kernel()
    if not kernel:
        return f"{why} (`make setup` unpacks Debian's kernel)"
    return "" if init_program() else "its first program is not built (apt-get install gcc libc6-dev)"


@cache
def init_program() -> str:
    return built("qemu_init.c", "qemu-init", ("-static", "-s"))


@cache
def kvm_works() -> bool:
    """Whether KVM has hardware beneath it that we may use. Where /dev/kvm is there but the CPU shows neither vmx nor
    svm, a hypervisor in software is behind it, far slower than QEMU's own emulation (or stuck for ever)."""
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        flags = next((line.split() for line in lines if line.startswith("flags")), [])
    return bool({"vmx", "svm"}.intersection(flags)) and os.access("/dev/kvm", os.R_OK | os.W_OK)


def accelerator() -> tuple[str, ...]:
    """QEMU takes the first that it can start."""
    emulated = ("-accel", "tcg,thread=multi")
    return ("-accel", "kvm", *emulated) if kvm_works() else emulated


@cache
def initramfs(kernel: Kernel) -> int:
    """A descriptor of the file, which is in memory only and inherited by QEMU: above those that sh uses for itself."""
    with open(os.memfd_create("mnmpls-initramfs", os.MFD_CLOEXEC), "wb") as file:
        file.write(qemu_initramfs.archive(f"{kernel.modules}/{kernel.release}", init_program()))
        file.flush()
        return fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, LOWEST_FD)


def share(tag: str, path: str, more: str = "") -> tuple[str, ...]:
    """A folder of the host for the guest. It acts with our own rights; multidevs: inode numbers of several file
    systems beneath it are kept apart."""
    where = path.replace(",", ",,")
    return (
        "-fsdev", f"local,id={tag},path={where},security_model=none,multidevs=remap{more}",
        "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}",
    )


def command_line(kernel: Kernel) -> str:
    """Words of the kernel's own, then those for the first process: environment, and after ``--`` its arguments."""
    return " ".join((
        "console=ttyS0", "quiet", "panic=-1", "reboot=t", "mitigations=off",
        f"LINE={LINE}", f"MODULES={kernel.modules}", "--", PYTHON, "-I", "-S", AGENT,
    ))


def machine(boot: Boot) -> Machine:
    """q35 rather than microvm, which is 0.5 s quicker but has no clock that Linux trusts beside the TSC: on a busy host
    the TSC's calibration fails there, and then the boot never ends."""
    kernel, why = choose_kernel()
    assert kernel, why
    archive = initramfs(kernel)
    tags = [f"door{number}" for number in range(len(boot.writable))]
    argv = (
        EMULATOR, "-M", "q35", *accelerator(), "-cpu", "max", "-smp", "2", "-m", f"{boot.memory_mib}M",
        "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
        "-chardev", f"socket,id=line,fd={boot.line_fd}", "-device", "virtio-serial-pci",
        "-device", "virtserialport,chardev=line,nr=1",
        "-kernel", kernel.image, "-initrd", f"/proc/self/fd/{archive}", "-append", command_line(kernel),
        *share("root", "/", ",readonly=on"),
        *(word for tag, path in zip(tags, boot.writable, strict=True) for word in share(tag, path)),
    )
    doors = tuple(Door(path, "9p", tag, f"{SHARE},cache=mmap") for tag, path in zip(tags, boot.writable, strict=True))
    return Machine(argv, {"PATH": PATH, "TMPDIR": boot.scratch}, doors, (archive,))


def explain(console: str) -> str:
    said = [line for line in console.splitlines() if line.startswith("mnmpls: initramfs: ")]
    if said:
        return said[-1]
    if "Cannot allocate memory" in console:
        return "QEMU did not get the guest's memory\n  what to do: free memory, or give it less with MNMPLS_MEMORY_MIB"
    if "KVM internal error" in console:
        return "this machine's KVM cannot run Debian's kernel"
    return ""


BACKEND = Backend(
    name="qemu",
    title="QEMU",
    problem=problem,
    machine=machine,
    features=BASICS | {"fou", "fou6"},
    boot_s=180,
    hang_s=60,
    explain=explain,
)
