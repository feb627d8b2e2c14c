"""The original program's records, and what they become here. Pure: reading its file is `adapters/original_store.py`'s work."""
