"""What the child processes run: `python -m service.cli.child api|worker --parent FD …`, made by `processes.py`."""

import argparse
import threading
from pathlib import Path

from service.cli.orphan import following


def main() -> None:
    """Runs the API or a worker until it is told to stop, or its parent is gone."""
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["api", "worker"])
    parser.add_argument("--parent", type=int, required=True, help="read end of the pipe whose other end the parent has")
    parser.add_argument("--socket", type=int, help="listening socket of the API")
    parser.add_argument("--key", help="idempotency key of the only job that the worker looks at")
    parser.add_argument("--folder", type=Path, help="folder to remove when the parent is gone")
    arguments = parser.parse_args()
    with following(arguments.parent, arguments.folder):
        if arguments.role == "api":
            _serve(arguments.socket)
        else:
            _work(arguments.key)


def _serve(descriptor: int) -> None:
    import socket

    from service.cli.listening import run_api
    from service.logs import configure
    from service.settings import load_settings

    settings = load_settings()
    configure(settings.log_format)
    run_api(settings, socket.socket(fileno=descriptor))


def _work(key: str | None) -> None:
    from service.logs import configure
    from service.settings import load_settings
    from service.workers.run import stop_on_signals, work

    settings = load_settings()
    configure(settings.log_format)
    stop = threading.Event()
    with stop_on_signals(stop):
        work(settings, stop=stop, only=key)


if __name__ == "__main__":
    main()
