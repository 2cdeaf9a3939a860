"""What a run predicted, how good it was, and the tables and figures made of that: pure functions of files."""
