"""Plan: the pure difference between what files want and what the state has, and what that does."""
