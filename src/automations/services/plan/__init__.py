"""Planning and applying: what would change, the one transaction that changes it, and the ways back."""
