"""The API on a socket: bound first, so that a port in use is known before anything is started."""

import errno
import socket
from typing import TYPE_CHECKING, Final

from service.cli.errors import FailedError

if TYPE_CHECKING:
    from service.settings import Settings

BACKLOG: Final = 128
GRACEFUL_SECONDS: Final = 2
"""How long open requests may take to finish once the API is told to stop."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 picks a free one. Raises `FailedError` naming the port and the mend."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise FailedError(
            f"cannot listen on {host!r} ({error.strerror}); give --host an address of this machine"
        ) from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise FailedError(_why(host, port, error)) from None
    return listener


def url_of(listener: socket.socket) -> str:
    """The URL of a listening socket; one on every address is reached over loopback."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run_api(settings: "Settings", listener: socket.socket) -> None:
    """Serves the API until SIGTERM or SIGINT."""
    import uvicorn

    from service.app import create_app

    config = uvicorn.Config(
        create_app(settings),
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[listener])


def _why(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use; stop what listens there, or take another with --port (0: a free one)"
    if error.errno == errno.EACCES:
        return f"port {port} needs privileges; take one above 1023 with --port"
    return f"cannot listen on {host}:{port} ({error.strerror}); give --host an address of this machine"
