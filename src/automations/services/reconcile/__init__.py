"""The loop: the state follows a directory by itself, carefully, and says how that stands."""
