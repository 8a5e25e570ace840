"""Kill, fill and slow down: real sessions that meet every fault there is, and what they and the next one leave.

By hand, with a table at the end: `python -m tests.faults --kills 300 --seed 1`.
"""
