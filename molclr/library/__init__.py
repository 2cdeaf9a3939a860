"""Libraries of molecules: embed a table, index it, search it."""
