"""What can go wrong, as exceptions the command line turns into exit codes.

Every message says what was wrong, where, and what to do about it.
"""

from __future__ import annotations


class EdgeFashionError(Exception):
    """Base of every error a user can cause or mend."""

    exit_code = 2


class BadInputError(EdgeFashionError):
    """A path, file, option or model that cannot be used as it is (exit code 2)."""


class GateError(EdgeFashionError):
    """A measured gate failed: parity, accuracy or regression (exit code 1)."""

    exit_code = 1


class MissingError(EdgeFashionError):
    """Something this machine lacks: an extra, a dataset, a camera, a display (exit code 3)."""

    exit_code = 3
