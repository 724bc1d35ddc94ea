"""What is served together: encoder, preprocessing, index and writer."""
