"""A world without servers: what compiled drivers and other processes ask for makes no audit event.

A filter of system calls, which Linux has since 3.17, holds for all threads of a process and all that it starts, and
cannot be taken back. Elsewhere nothing is done: Python's own connections are heard anyway.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import socket
import struct
import sys

NO_NEW_PRIVILEGES = 38  # of prctl
BY_FILTER, ALL_THREADS = 1, 1  # of seccomp
# Of each machine: what the kernel calls its architecture, and the numbers of its system calls: the one that sets the
# filter, the one that makes a socket, and those that connect, or find shared memory and queues of messages by a key
# (System V's, of which nothing else tells). The last one of all, of every machine, would connect past a filter.
CALLS = {"x86_64": (0xC000003E, 317, 41, (42, 29, 68)), "aarch64": (0xC00000B7, 277, 198, (203, 194, 186))}
SET_UP_IO_URING = 425
LOAD, IF_EQUAL, RETURN = 0x20, 0x15, 0x06  # of the filter's little language
NUMBER_AT, ARCHITECTURE_AT, FIRST_ARGUMENT_AT = 0, 4, 16
ALLOWED, REFUSED = 0x7FFF0000, 0x00050000 | errno.EACCES


def reach_no_server() -> bool:
    """From here on every attempt to connect is refused (EACCES), in every thread; whether that could be done.

    Sockets of the machine itself are not even made. Pairs are, as pipes.
    """
    if not sys.platform.startswith("linux") or platform.machine() not in CALLS:
        return False
    architecture, set_filter, makes_socket, refused = CALLS[platform.machine()]
    # Each is what to do, how many steps to leave out if it is so and if not, and a number.
    program = (
        (LOAD, 0, 0, ARCHITECTURE_AT),
        (IF_EQUAL, 0, 9, architecture),
        (LOAD, 0, 0, NUMBER_AT),
        *((IF_EQUAL, 6 - place, 0, number) for place, number in enumerate((*refused, SET_UP_IO_URING))),
        (IF_EQUAL, 0, 3, makes_socket),
        (LOAD, 0, 0, FIRST_ARGUMENT_AT),
        (IF_EQUAL, 0, 1, int(socket.AF_UNIX)),
        (RETURN, 0, 0, REFUSED),
        (RETURN, 0, 0, ALLOWED),
    )
    steps = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
    whole = struct.pack("HP", len(program), ctypes.addressof(steps))  # with the gap that C has, too
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)  # which it asks for
    return bool(libc.syscall(set_filter, BY_FILTER, ALL_THREADS, ctypes.c_char_p(whole)) == 0)
