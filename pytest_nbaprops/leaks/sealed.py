"""A world without servers: what compiled drivers and other processes ask for makes no audit event.

Landlock, which Linux has for TCP since 6.7, and a filter of system calls for sockets of the machine itself hold for a
process and all that it starts, and cannot be taken back. Landlock's calls have the same numbers on every architecture.
Elsewhere nothing is done: Python's own connections are heard anyway.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import socket
import struct
import sys

CREATE_RULESET, RESTRICT_SELF = 444, 446
VERSION_ASKED, VERSION_OF_TCP = 1, 4
CONNECT_TCP = 2
NO_NEW_PRIVILEGES, SET_SECCOMP, BY_FILTER = 38, 22, 2
# Of each machine: what the kernel calls its architecture, and the numbers of the system calls that make a socket, and
# that find shared memory and queues of messages by a key (System V's, of which nothing else tells).
CALLS = {"x86_64": (0xC000003E, 41, (29, 68)), "aarch64": (0xC00000B7, 198, (194, 186))}
LOAD, IF_EQUAL, RETURN = 0x20, 0x15, 0x06  # of the filter's little language
NUMBER_AT, ARCHITECTURE_AT, FIRST_ARGUMENT_AT = 0, 4, 16
ALLOWED, REFUSED = 0x7FFF0000, 0x00050000 | errno.EACCES


def reach_no_server() -> bool:
    """From here on every attempt to connect is refused (EACCES); whether it could be done for TCP.

    Sockets of the machine itself are not even made: a filter cannot see where one would connect. Pairs are, as pipes.
    """
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    _meet_no_process(libc)
    if libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), VERSION_ASKED) < VERSION_OF_TCP:
        return False
    handled = struct.pack("QQ", 0, CONNECT_TCP)  # of files nothing
    rules = libc.syscall(CREATE_RULESET, handled, ctypes.c_size_t(len(handled)), 0)
    return bool(rules >= 0 and libc.syscall(RESTRICT_SELF, rules, 0) == 0)


def _meet_no_process(libc: ctypes.CDLL) -> None:
    libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)  # which both ask for
    if platform.machine() not in CALLS:
        return
    architecture, makes_socket, (memory, messages) = CALLS[platform.machine()]
    # Each is what to do, how many steps to leave out if it is so and if not, and a number.
    program = (
        (LOAD, 0, 0, ARCHITECTURE_AT),
        (IF_EQUAL, 0, 7, architecture),
        (LOAD, 0, 0, NUMBER_AT),
        (IF_EQUAL, 4, 0, memory),
        (IF_EQUAL, 3, 0, messages),
        (IF_EQUAL, 0, 3, makes_socket),
        (LOAD, 0, 0, FIRST_ARGUMENT_AT),
        (IF_EQUAL, 0, 1, int(socket.AF_UNIX)),
        (RETURN, 0, 0, REFUSED),
        (RETURN, 0, 0, ALLOWED),
    )
    steps = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
    whole = struct.pack("HP", len(program), ctypes.addressof(steps))  # with the gap that C has, too
    libc.prctl(SET_SECCOMP, BY_FILTER, ctypes.c_char_p(whole), 0, 0)
