"""Where an engine listens, and how it is spoken to."""

from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

from tuner.load.errors import EndpointError


class Interface(StrEnum):
    """The call that requests are sent to, of the OpenAI API."""

    COMPLETIONS = "completions"
    CHAT = "chat"


_PATHS = {Interface.COMPLETIONS: "/v1/completions", Interface.CHAT: "/v1/chat/completions"}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An engine that runs: URL without the path `/v1`, the name it serves its model by, and a secret where it asks one.

    Raises `EndpointError` when the URL is none.
    """

    base_url: str
    model: str
    api_key: str | None = field(default=None, repr=False)
    interface: Interface = Interface.COMPLETIONS

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.base_url)
            usable = parts.scheme in ("http", "https") and parts.hostname is not None and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise EndpointError(f"{self.base_url!r} is no URL of an engine; write it like http://127.0.0.1:8000")
        object.__setattr__(self, "base_url", self.base_url.rstrip("/").removesuffix("/v1"))

    @property
    def url(self) -> str:
        """The whole URL that requests are sent to."""
        return self.at(_PATHS[self.interface])

    @property
    def headers(self) -> dict[str, str]:
        """HTTP headers of every request."""
        return {} if self.api_key is None else {"Authorization": f"Bearer {self.api_key}"}

    def at(self, path: str) -> str:
        """The URL of another path of the same engine."""
        return self.base_url + path
