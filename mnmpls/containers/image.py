"""The image of our nodes, made of Debian packages and this source tree: neither a registry nor a network for building
is needed, only what apt-get reaches. ``python3 -m mnmpls.containers.image``, or ``make image``."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..errors import CheckFailed, MnmplsError
from ..export.containerlab import IMAGE, READY_FILE
from .daemon import connected

SOURCE = Path(__file__).resolve().parents[2]
VARIANTS: Mapping[str, tuple[str, ...]] = {"latest": ("slim", "router"), "slim": ("slim",)}
"""Tag -> the lists of packages in docker/."""
_SUITE = "bookworm"
_SOURCES = ("/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list")
_MERGED = "/usr/share/mmdebstrap/hooks/merged-usr"
"""Else Debian's package usrmerge does that, which takes all of Perl along."""
_LIMIT_S = 1200
_INSIDE = "/usr/lib/mnmpls/inside"
_EPOCH = "1767225600"
"""The time of all files that are made while the image is: the same packages give the same image."""


def changes(version: str) -> list[str]:
    """What a container of the image is, in the words of a Dockerfile."""
    return [
        'ENTRYPOINT ["mnmpls-node"]',
        "WORKDIR /usr/share/mnmpls",
        f"ENV PATH={_INSIDE}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TMPDIR=/tmp",
        f'LABEL org.opencontainers.image.title={IMAGE} org.opencontainers.image.version="{version}"',
        f'HEALTHCHECK --interval=10s --timeout=10s --start-period=5s --retries=12 CMD ["test", "-e", "{READY_FILE}"]',
    ]


def make_files(variant: str, tar: Path) -> None:
    """The image's root file system, as the archive ``tar``. Raises CheckFailed."""
    program = shutil.which("mmdebstrap")
    if not program:
        raise CheckFailed("there is no mmdebstrap, which makes the image's files: run apt-get install mmdebstrap")
    with _staged(variant) as staged:
        words = [
            program, "--variant=custom", "--mode=root", "--format=tar",
            f"--hook-dir={_MERGED}",
            f"--include={','.join(_packages(variant))}",
            *(f"--dpkgopt={line}" for line in _lines("left-out")),
            f"--customize-hook=sync-in {staged} /",
            _SUITE, str(tar), *[path for path in _SOURCES if os.path.exists(path)][:1],
        ]  # fmt: skip
        env = {**os.environ, "SOURCE_DATE_EPOCH": _EPOCH}
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=_LIMIT_S, env=env)
    if done.returncode:
        raise CheckFailed(f"mmdebstrap could not make the files of {IMAGE}:{variant}:\n{done.stderr[-2000:]}")


def _packages(variant: str) -> list[str]:
    return [name for part in VARIANTS[variant] for name in _lines(part)]


def _lines(name: str) -> list[str]:
    """Of a list in docker/."""
    path = SOURCE / "docker" / f"{name}.txt"
    if not path.exists():
        raise CheckFailed(f"{path} is not there: the image is made in a source tree of mnmpls")
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]


@contextmanager
def _staged(variant: str) -> Iterator[Path]:
    """A folder with what is ours in the image."""

    def unwanted(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if name == "__pycache__" or name.endswith(".c")]

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        packages = root / "usr/lib/python3/dist-packages"
        shutil.copytree(SOURCE / "mnmpls", packages / "mnmpls", ignore=unwanted)
        about = packages / f"mnmpls-{_version()}.dist-info" / "METADATA"
        about.parent.mkdir()
        about.write_text(f"Metadata-Version: 2.1\nName: mnmpls\nVersion: {_version()}\n", encoding="utf-8")
        shutil.copytree(SOURCE / "docker/bin", root / "usr/bin")
        shutil.copytree(SOURCE / "docker/inside", root / _INSIDE[1:], symlinks=True)
        if "router" in VARIANTS[variant]:
            shutil.copytree(SOURCE / "topos", root / "usr/share/mnmpls/topos")
        root.chmod(0o755)
        yield root


def load(tar: Path, variant: str, version: str) -> str:
    """Into the docker daemon; gives the image's name. Raises CheckFailed."""
    with connected() as client:
        client.api.import_image_from_file(str(tar), repository=IMAGE, tag=variant, changes=changes(version))
        client.api.tag(f"{IMAGE}:{variant}", IMAGE, version if variant == "latest" else f"{version}-{variant}")
    return f"{IMAGE}:{variant}"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="mnmpls.containers.image", description="Make the image of mnmpls's nodes.")
    parser.add_argument("variants", nargs="*", metavar="VARIANT", help=f"{', '.join(VARIANTS)} (all)")
    parser.add_argument("--tar", metavar="DIR", help="only the archives for `docker import`, into this folder")
    options = parser.parse_args(argv)
    try:
        variants = options.variants or list(VARIANTS)
        for variant in variants:
            if variant not in VARIANTS:
                raise CheckFailed(f"there is no variant {variant!r} of the image; there are {', '.join(VARIANTS)}")
        if not options.tar:
            with connected():  # else one would hear of that minutes later
                pass
        for variant in variants:
            say = f"{IMAGE}:{variant} is made of {len(_packages(variant))} Debian packages and theirs: a minute or two"
            print(f"mnmpls: {say}", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory() as folder:
                tar = Path(options.tar or folder) / f"{IMAGE}-{variant}.tar"
                make_files(variant, tar)
                name = str(tar) if options.tar else load(tar, variant, _version())
                print(f"{name}: {tar.stat().st_size / 1e6:.0f} MB", flush=True)
    except MnmplsError as error:
        print(f"mnmpls: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("mnmpls")
    except PackageNotFoundError:
        return "0"


if __name__ == "__main__":
    sys.exit(main())
