"""Fault injection: kills, damage, overload.

`make torture-ci` and `make torture` run these programs. Each prints one JSON line for each test.
"""
