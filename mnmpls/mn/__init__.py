"""The lab inside Mininet: node and link classes for anybody's script, and our Mininet, CLI and clean-up for ``mn``."""
