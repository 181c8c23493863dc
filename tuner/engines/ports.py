"""Chooses a free port, and checks that the server that answers on it is ours alone."""

import random
import socket
from collections.abc import Collection
from typing import Final

import psutil

from tuner.engines.errors import PortsTakenError

HOST: Final = "127.0.0.1"
"""Engines under measurement listen on loopback alone."""
PORTS: Final = range(20_000, 32_000)
"""Ports to choose among: below those that Linux gives to outgoing connections (32768 to 60999), which would take one
between the choice and the server's start."""
_TRIES: Final = 200


def free_port(taken: Collection[int] = ()) -> int:
    """A port that nobody listens on and that is not among `taken`; raises `PortsTakenError` when none is found."""
    for port in random.sample(PORTS, _TRIES):
        if port not in taken and is_free(port):
            return port
    raise PortsTakenError(f"{_TRIES} ports between {PORTS.start} and {PORTS.stop} are taken; end what listens there")


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now: a bound socket refuses another, even with SO_REUSEADDR."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((HOST, port))
        except OSError:
            return False
    return True


def strangers_on(port: int, ours: Collection[int]) -> list[str]:
    """Who else listens on the port than the processes `ours`; `nobody of ours` where none of them does.

    Several servers may share a port in silence (SO_REUSEPORT), so all listeners are looked at. Where the system does
    not show the sockets of others (macOS without root), only our own are checked: a shared port goes unseen there.
    """
    try:
        listeners = [
            connection.pid
            for connection in psutil.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
        ]
    except psutil.AccessDenied:
        listeners = [pid for pid in ours if _listens(pid, port)]
    strangers = [_named(pid) for pid in sorted({pid or 0 for pid in listeners} - set(ours))]
    if not strangers and not any(pid in ours for pid in listeners):
        return ["nobody of ours"]
    return strangers


def _listens(pid: int, port: int) -> bool:
    try:
        connections = psutil.Process(pid).net_connections("tcp")
    except psutil.Error:
        return False
    return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in connections)


def _named(pid: int) -> str:
    try:
        return f"{psutil.Process(pid).name()} (process {pid})" if pid else "a process of another user"
    except psutil.Error:
        return f"process {pid}"
