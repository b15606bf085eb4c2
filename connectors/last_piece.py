"""A request whose body leaves last: until then it is certain that nothing was taken."""

from __future__ import annotations

import io
from collections.abc import Callable


class LastPiece(io.BytesIO):
    """A body that says when it is first read for sending: the headers have left by then.

    ``committing`` is called once, just before; ``begun`` says that it returned, ``error`` what it raised.
    """

    def __init__(self, body: bytes, committing: Callable[[], None]) -> None:
        super().__init__(body)
        self._committing = committing
        self.begun = False
        self.error: BaseException | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        """The next bytes."""
        if not self.begun:
            try:
                self._committing()
            except BaseException as error:
                # What lies between here and the sender takes some kinds of error for its own.
                self.error = error
                raise
            self.begun = True
        return super().read(size)


__all__ = ["LastPiece"]
