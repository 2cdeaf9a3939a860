"""Where data sets come from, how they are checked, the molecule table, its splits and the graph store."""
