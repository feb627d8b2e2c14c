"""From files to what they mean: read once, kept, and read again only where something changed."""
