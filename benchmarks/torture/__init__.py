"""Faults on purpose: kills, damage, overload. Run by `make torture-ci` and `make torture`; each program ends with one JSON line a test."""
