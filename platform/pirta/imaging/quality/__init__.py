"""Is a study good enough for a report? Measures of a pair, a family a file, and one judge."""
