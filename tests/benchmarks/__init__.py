"""Benchmarks: every measurement takes our path and its floor in turn, in one run, and checks afterwards what was done.

A floor is the least honest program for the same promise (same bytes, same signature, same durability), so the ratio
says what our own code costs on any machine. Run with `make bench`, or `python -m benchmarks [--quick] [names…]`.
"""
