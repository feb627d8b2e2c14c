"""One Store over two databases: SQL text beside the function that runs it, one file per noun."""
