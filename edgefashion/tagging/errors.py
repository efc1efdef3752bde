"""What ends a run of tagging whose rows are kept, and a login that is not tried again."""

from __future__ import annotations

from edgefashion.errors import BadInputError, EdgeFashionError, MissingError


class RunAgainError(EdgeFashionError):
    """The message says that the same command goes on where the run stopped."""


class RefusedLoginError(BadInputError):
    """A server has refused the user and password of a URL."""


class TableError(BadInputError, RunAgainError):
    """The table or its journal cannot be written."""


class RayLostError(MissingError, RunAgainError):
    """Ray, or the cluster, ended in mid-run."""
