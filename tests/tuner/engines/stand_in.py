"""An OpenAI-compatible server that starts in a moment and misbehaves on demand; standard library alone.

    python -I -S stand_in.py --port N [--host H] [--model M] [--ready-after S] [--say TEXT] [--exit-with N] …

What it does not know it takes for the flags of a real engine. It writes its arguments and environment to `--record`.
"""

import argparse
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as far as an engine's adapter asks."""

    started = time.monotonic()
    options: argparse.Namespace

    def do_GET(self) -> None:
        """Readiness, models and metrics."""
        if time.monotonic() - self.started < self.options.ready_after:
            return self._answer(503, {"error": "loading"})
        if self.path == "/v1/models":
            return self._answer(200, {"data": [{"id": self.options.model or "stand-in"}]})
        if self.path == "/metrics":
            return self._answer(200, '# TYPE running gauge\nrunning{rank="0"} 2\nrunning{rank="1"} 1\n')
        if self.path == "/version":
            return self._answer(200, {"version": "9.9"})
        return self._answer(200 if self.path in ("/health", "/my/ready") else 404, {})

    def do_POST(self) -> None:
        """Dies in a request when told to."""
        if self.options.die_in_request:
            print(self.options.die_in_request, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        self._answer(200, {"choices": [{"text": "x"}], "usage": {"completion_tokens": 1}})

    def log_message(self, format: str, *values: object) -> None:
        """Says each request when told to, as uvicorn does."""
        if self.options.log_requests:
            print(format % values, flush=True)

    def _answer(self, status: int, body: object) -> None:
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class Server(http.server.ThreadingHTTPServer):
    """Shares its port in silence when told to, as llama-server once did."""

    daemon_threads = True
    shares_port = False

    def server_bind(self) -> None:
        """Binds, and fails on a port that is taken."""
        if self.shares_port:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()


def main() -> None:
    """Does what the command line says, then serves."""
    options = _parser().parse_known_args()[0]
    if options.record:
        with open(options.record, "w") as file:
            json.dump({"arguments": sys.argv[1:], "environment": dict(os.environ)}, file)
    for number in (signal.SIGTERM, signal.SIGINT) if options.ignore_term else ():
        signal.signal(number, signal.SIG_IGN)
    if options.leave_child:
        # it closes nothing, leaves the session and does not end when asked
        program = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
        subprocess.Popen([sys.executable, "-I", "-S", "-c", program], start_new_session=True)
    for text in options.say:
        print(text, flush=True)
    if options.exit_with is not None:
        sys.exit(options.exit_with)
    if options.kill_with is not None:
        os.kill(os.getpid(), options.kill_with)
    if options.hang == "idle":
        time.sleep(600)
    while options.hang == "busy":
        pass
    Handler.options = options
    Server.shares_port = options.share_port
    server = Server((options.host, options.port), Handler)
    threading.Thread(target=_say_later, args=(options.say_later,), daemon=True).start()
    server.serve_forever()


def _say_later(texts: list[str]) -> None:
    time.sleep(0.5)
    for text in texts:
        print(text, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--served-model-name", "--alias", dest="model", default="")
    parser.add_argument("--ready-after", type=float, default=0.0)
    parser.add_argument("--say", action="append", default=[])
    parser.add_argument("--say-later", action="append", default=[])
    parser.add_argument("--exit-with", type=int)
    parser.add_argument("--kill-with", type=int)
    parser.add_argument("--die-in-request", default="")
    parser.add_argument("--hang", choices=("idle", "busy"))
    parser.add_argument("--log-requests", action="store_true")
    parser.add_argument("--ignore-term", action="store_true")
    parser.add_argument("--leave-child", action="store_true")
    parser.add_argument("--share-port", action="store_true")
    parser.add_argument("--record", default="")
    return parser


if __name__ == "__main__":
    main()
