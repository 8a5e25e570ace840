"""Files of another world: what they say instead, and what stays so that code can read them."""

from __future__ import annotations

import json
import tomllib

import pytest

from pytest_nbaprops.leaks.otherwise import NUMBERS, PLACES, VALUES, WORDS, altered

TABLE = b"TEAM,GOOD\nATL,True\nBOS,no\nDAL,false\n"
NAMES = '{\n "season": 2024,\n "over": [\n  "Luka Dončić",\n  "x\\u00e9"\n ],\n "hot": true\n}\n'.encode()


@pytest.mark.parametrize(
    ("world", "content", "expected"),
    [
        (NUMBERS, b"a,1\nb,29\nc,3\n", b"a,2\nb,31\n"),
        (NUMBERS, TABLE, TABLE),  # its words are other ones elsewhere
        (NUMBERS, "\u0663\u0669,\u0660\n".encode(), "\u0664\u0661,\u0660\n".encode()),
        (NUMBERS, b"'version': 1\nversion: 2, size: 1\n3\n", b"'version': 1\nversion: 3, size: 2\n"),
        (WORDS, TABLE, b"UFBN,HPPE\nBUM,False\nCPT,yes\n"),
        (WORDS, "▲ nan\n".encode(), "△ nan\n".encode()),
        (VALUES, TABLE, b"TEAM,GOOD\nBUM,False\nCPT,yes\n"),
        (VALUES, b"ATL BOS\nand nobody else\n", b"BUM CPT\n"),  # a first line is no header
        (PLACES, TABLE, b"TEAM,GOOD\nATL,yes\nBOS,true\nDAL,False\n"),
        (PLACES, b"kind,label\na,hot\nb,cold\n", b"kind,label\na,cold\nb,hot\n"),
    ],
)
def test_what_a_file_says_instead(world: str, content: bytes, expected: bytes) -> None:
    """Digits of any script, words, marks and flags; what a parser knows is something that it knows."""
    assert altered(content, world) == expected


@pytest.mark.parametrize("world", [NUMBERS, VALUES])
def test_what_a_parser_reads_it_still_reads(world: str) -> None:
    """Who finds his keys finds other values there."""
    before, after = json.loads(NAMES), json.loads(altered(NAMES, world))
    assert before.keys() == after.keys()
    assert before != after
    text = b'[model]\nkind = "ridge"\nrate = 1e-3\nfast = true\nlast = 1\n'
    assert tomllib.loads(altered(text, VALUES).decode())["model"] == {"kind": "sjehf", "rate": 1e-3, "fast": False}
