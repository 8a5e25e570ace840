"""A world without servers: what compiled drivers and other processes ask for makes no audit event.

Landlock, which Linux has for TCP since 6.7, holds for a process and all that it starts, and cannot be taken back. Its
calls have the same numbers on every architecture. Elsewhere nothing is done: Python's own connections are heard anyway.
"""

from __future__ import annotations

import ctypes
import struct
import sys

CREATE_RULESET, RESTRICT_SELF = 444, 446
VERSION_ASKED, VERSION_OF_TCP = 1, 4
CONNECT_TCP = 2
NO_NEW_PRIVILEGES = 38


def reach_no_server() -> bool:
    """From here on every attempt to connect by TCP is refused (EACCES); whether it could be done."""
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), VERSION_ASKED) < VERSION_OF_TCP:
        return False
    handled = struct.pack("QQ", 0, CONNECT_TCP)  # of files nothing
    rules = libc.syscall(CREATE_RULESET, handled, ctypes.c_size_t(len(handled)), 0)
    libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    return bool(rules >= 0 and libc.syscall(RESTRICT_SELF, rules, 0) == 0)
