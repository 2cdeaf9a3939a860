"""Predictions and metrics of runs, and tables and figures as pure functions of these files."""
