"""What becomes of runs and their queued actions, from admission to the last step."""
