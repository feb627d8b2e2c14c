"""The outside world behind small seams: clock, ids, files, secrets, telemetry, executors."""
