"""Runs and the queue: the machines, as pure functions of state, signal and now."""
