"""How to get what is missing, on each system."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..guests.host import FEATURES, Feature
from ..programs import PACKAGES

RIGHTS: Mapping[str, str] = {
    "netns": "run it with sudo; for root too there may be a limit: the sysctl user.max_net_namespaces",
    "pidns": "there may be a limit: the sysctl user.max_pid_namespaces",
    "memory": "end what takes it, or use a smaller lab",
    "space": "make room there, or set TMPDIR to another folder",
    "settings": "make /proc/sys writable: mount -o remount,rw /proc/sys",
}
"""What is no matter of the kernel's build."""


def _load(feature: Feature) -> str:
    return f"modprobe {' '.join(feature.modules)}" if feature.modules else "reboot into it"


def _options(feature: Feature) -> str:
    return " ".join(f"CONFIG_{option}=y" for option in feature.options)


def _debian(feature: Feature) -> str:
    return (
        "Debian's own kernels have it, the cloud ones too: apt-get install linux-image-$(dpkg --print-architecture), "
        f"start that, {_load(feature)}"
    )


def _ubuntu(feature: Feature) -> str:
    """FRRouting/frr#4309; ipspace/netlab#1209 on the -kvm images."""
    return (
        f"apt-get install linux-modules-extra-$(uname -r), {_load(feature)}; the -kvm kernels of cloud images have no "
        "such package: apt-get install linux-image-generic, and start that"
    )


def _fedora(feature: Feature) -> str:
    return (
        f"dnf install kernel-modules-extra-$(uname -r), {_load(feature)}; what is listed in "
        "/etc/modprobe.d/*-blacklist.conf is loaded only by name"
    )


def _wsl2(feature: Feature) -> str:
    """microsoft/WSL#5404 and #6850."""
    return (
        f"its kernel lacks it: build github.com/microsoft/WSL2-Linux-Kernel with {_options(feature)} and name it in "
        "%UserProfile%\\.wslconfig under [wsl2], kernel=...; or use a guest kernel"
    )


def _container(feature: Feature) -> str:
    return (
        f"a container has its host's kernel: on the host {_load(feature)}, and start the container with --privileged; "
        "a UML guest needs neither"
    )


REMEDIES: Mapping[str, Callable[[Feature], str]] = {
    "Debian": _debian,
    "Ubuntu": _ubuntu,
    "Fedora": _fedora,
    "WSL2": _wsl2,
    "container": _container,
}
"""By system."""

_FEDORA = {"iputils-ping": "iputils", "iproute2": "iproute"}
"""Where Fedora's name for a package is another."""


def remedy(key: str, system: str) -> str:
    """For a feature of the kernel, a program, memory or space, by its name."""
    if key in RIGHTS:
        container = key in FEATURES and system == "container"
        return "start the container with --privileged" if container else RIGHTS[key]
    if key not in FEATURES:
        package = PACKAGES.get(key, key)
        if system == "Fedora":
            return f"dnf install {_FEDORA.get(package, package)}"
        return f"apt-get install {package}" + (" (or what that system has instead)" if system == "container" else "")
    return REMEDIES[system](FEATURES[key])
