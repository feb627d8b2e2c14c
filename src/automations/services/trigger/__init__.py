"""What starts runs: events, webhooks, schedules, and people and programs that ask by name."""
