"""How to get what is missing, on each system."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..guests.host import FEATURES, Feature
from ..programs import PACKAGES, STRONGSWAN

RIGHTS: Mapping[str, str] = {
    "netns": "run it with sudo; for root too there may be a limit: the sysctl user.max_net_namespaces",
    "pidns": "there may be a limit: the sysctl user.max_pid_namespaces",
    "memory": "end what takes it, or use a smaller lab",
    "space": "make room there, or set TMPDIR to another folder",
    "settings": "make /proc/sys writable: mount -o remount,rw /proc/sys",
}
"""What is no matter of the kernel's build."""


Features = Sequence[Feature]


def _load(features: Features) -> str:
    """``modprobe`` loads one module, with -a any number."""
    modules = dict.fromkeys(module for each in features for module in each.modules)
    return f"modprobe {'-a ' if len(modules) > 1 else ''}{' '.join(modules)}" if modules else "reboot into it"


def _options(features: Features) -> str:
    return " ".join(dict.fromkeys(f"CONFIG_{option}=y" for each in features for option in each.options))


def _debian(features: Features) -> str:
    return (
        "Debian's own kernels have it, the cloud ones too: apt-get install linux-image-$(dpkg --print-architecture), "
        f"start that, {_load(features)}"
    )


def _ubuntu(features: Features) -> str:
    """FRRouting/frr#4309; ipspace/netlab#1209 on the -kvm images."""
    return (
        f"apt-get install linux-modules-extra-$(uname -r), {_load(features)}; the -kvm kernels of cloud images have no "
        "such package: apt-get install linux-image-generic, and start that"
    )


def _fedora(features: Features) -> str:
    return (
        f"dnf install kernel-modules-extra-$(uname -r), {_load(features)}; what is listed in "
        "/etc/modprobe.d/*-blacklist.conf is loaded only by name"
    )


def _wsl2(features: Features) -> str:
    """microsoft/WSL#5404 and #6850."""
    return (
        f"its kernel lacks it: build github.com/microsoft/WSL2-Linux-Kernel with {_options(features)} and name it in "
        "%UserProfile%\\.wslconfig under [wsl2], kernel=...; or use a guest kernel"
    )


def _container(features: Features) -> str:
    return (
        f"a container has its host's kernel: on the host {_load(features)}, and start the container with --privileged; "
        "a UML guest needs neither"
    )


REMEDIES: Mapping[str, Callable[[Features], str]] = {
    "Debian": _debian,
    "Ubuntu": _ubuntu,
    "Fedora": _fedora,
    "WSL2": _wsl2,
    "container": _container,
}
"""By system."""

_FEDORA = {"iputils-ping": "iputils", "iproute2": "iproute"} | {PACKAGES[each]: "strongswan" for each in STRONGSWAN}
"""Where Fedora's name for a package is another."""


def remedy(keys: Sequence[str], system: str) -> str:
    """For features of the kernel or for programs, by their names, all of one ``kind``; or for one of another kind."""
    kind = kind_of(keys[0])
    if kind == "kernel":
        return REMEDIES[system]([FEATURES[key] for key in keys])
    if kind == "programs":
        packages = dict.fromkeys(PACKAGES.get(key, key) for key in keys)
        if system == "Fedora":
            return f"dnf install {' '.join(dict.fromkeys(_FEDORA.get(each, each) for each in packages))}"
        return f"apt-get install {' '.join(packages)}" + (" (Debian, Ubuntu)" if system == "container" else "")
    container = kind in FEATURES and system == "container"
    return "start the container with --privileged" if container else RIGHTS[kind]


def kind_of(key: str) -> str:
    """What can be had together is of one kind: parts of a kernel, and programs. All else is a kind of its own."""
    return key if key in RIGHTS else "kernel" if key in FEATURES else "programs"
