"""What pip needs to know about mnmpls; tool settings are in pyproject.toml, the verbs in Makefile."""

from pathlib import Path

from setuptools import find_packages, setup

setup(
    name="mnmpls",
    version="0.1.0.dev0",
    description="MPLS and VRF labs on the Linux kernel's own data plane, for Mininet and from YAML",
    long_description=(Path(__file__).parent / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    python_requires=">=3.10",
    # Stating the layout makes an editable install one plain path entry, not an import hook in every Python start.
    package_dir={"": "."},
    packages=find_packages(include=["mnmpls", "mnmpls.*"]),
    package_data={
        "mnmpls": ["py.typed"],
        "mnmpls.guests": ["*.c", "*.so", "qemu-init"],
        "mnmpls.daemons": ["templates/*.conf"],
    },
    install_requires=["PyYAML>=6.0", "lark>=1.1", "Jinja2>=3.0"],
    # Not required: PyPI's Mininet comes without mnexec and would hide Debian's.
    extras_require={
        "containers": ["docker>=5.0"],
        "mininet": ["mininet>=2.3"],
        "test": ["pytest>=7.2", "hypothesis", "jsonschema", "pexpect"],
    },
    entry_points={
        "console_scripts": ["mnmpls=mnmpls.cli:main", "mnmpls-node=mnmpls.containers.entry:main"],
        # Called like its module, so that `-p mnmpls.pytest_plugin` and a conftest's pytest_plugins mean this one.
        "pytest11": ["mnmpls.pytest_plugin=mnmpls.pytest_plugin"],
    },
    classifiers=["Framework :: Pytest"],
)
