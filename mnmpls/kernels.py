"""The kernels that a lab can run on, by name."""

GUESTS = ("uml", "qemu")
"""Guest kernels, the quickest first."""

KERNELS = ("host", *GUESTS)
"""``host`` is this machine's own."""
