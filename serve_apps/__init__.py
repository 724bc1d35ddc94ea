"""The Ray Serve report graph, one deployment a file."""
