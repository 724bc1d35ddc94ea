"""From a study and its neighbours to a checked report."""
