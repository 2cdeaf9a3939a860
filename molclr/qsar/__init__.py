"""Models of the labels of a table: train, predict, explain (QSAR)."""
