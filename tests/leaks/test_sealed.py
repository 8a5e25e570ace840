"""A world without servers, by the kernel's own word."""

from __future__ import annotations

import subprocess
import sys

import pytest

ASKING = """
import ctypes, os, secrets, socket, subprocess, sys, threading
from pytest_nbaprops.leaks.sealed import reach_no_server

server, here = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)
here.bind("\\0nbaprops-" + secrets.token_hex())
here.listen()
ask = f"import socket; socket.create_connection({server.getsockname()})"

def said(ask):
    try:
        ask()
    except OSError as error:
        return type(error).__name__
    return "reached"

def local():  # where a driver looks for a server of this machine
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(here.getsockname())

def by_key():  # System V's shared memory and queues of messages, which nothing tells of
    libc = ctypes.CDLL(None, use_errno=True)
    for find in (lambda: libc.shmget(0, 64, 0o600), lambda: libc.msgget(0, 0o600)):
        if find() < 0:
            raise OSError(ctypes.get_errno(), "refused")

def everybody():
    answers = [said(local), said(by_key)]
    asked = lambda: socket.create_connection(server.getsockname()).close()
    thread = threading.Thread(target=lambda: answers.append(said(asked)))
    thread.start()
    thread.join()
    other = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True).stderr.strip()
    return [said(asked), *answers, other.rpartition("\\n")[2].partition(":")[0] or "reached"]

def waiting():  # a thread that was there before
    go.wait()
    answers.append(said(lambda: socket.create_connection(server.getsockname()).close()))

go, answers = threading.Event(), []
early = threading.Thread(target=waiting)
early.start()
before = everybody()
sealed = reach_no_server()
pair = socket.socketpair()
pair[0].send(b"pipes stay")
go.set()
early.join()
print(sealed, before, [*everybody(), *answers], pair[1].recv(20))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the filter is Linux's")
def test_no_thread_and_no_other_process_reaches_a_server() -> None:
    """Servers are refused to all: to threads that were there before, and to whatever is started afterwards."""
    said = subprocess.run([sys.executable, "-c", ASKING], capture_output=True, text=True, check=True).stdout.strip()
    assert said == f"True {['reached'] * 5} {['PermissionError'] * 6} b'pipes stay'"
