"""Keys of rebookd's own: where each lies, and making one at first need."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from connectors.base import ConnectorError
from daemon.config.secret import Secret
from daemon.config.settings import DEFAULT, Settings
from daemon.loading import loading


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnKey:
    """One key: as configured, as a systemd ``credential``, or beside the state with this ``ending``."""

    settings: Settings
    configured: Secret | None
    credential: str
    ending: str

    @property
    def place(self) -> Secret:
        """Where it lies."""
        if self.configured:
            return self.configured
        given = os.environ.get("CREDENTIALS_DIRECTORY")
        if given and (Path(given) / self.credential).exists():
            return Secret("credential", (self.credential,))
        return Secret("file", (str(self._file),))

    def make(self) -> Path | None:
        """Make it where there is none and the configuration names none; where it lies then.

        Raises ConnectorError where it cannot be written.
        """
        path = self._file
        if self.place != Secret("file", (str(path),)) or path.exists():
            return None
        try:
            with loading:
                from connectors.auth import new_key  # noqa: PLC0415 - its cipher is memory that few need

            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(new_key())
                file.flush()
                os.fsync(file.fileno())
        except FileExistsError:
            return None
        except OSError as error:
            raise ConnectorError(f"The key {path} cannot be written: {error.strerror}.") from error
        return path

    def read(self) -> str:
        """The key. Raises :class:`SecretUnavailable`."""
        return self.place.read(self.settings.base)

    @property
    def _file(self) -> Path:
        return beside_state(self.settings, self.ending)


def beside_state(settings: Settings, ending: str) -> Path:
    """A path beside the state file, named like it and like whose it is, where that is not only one's."""
    state = settings.state.resolve()
    whose = "" if settings.tenant == DEFAULT else f".{settings.tenant}"
    return state.with_name(f"{state.name}{whose}{ending}")
