"""Raw radiology reports in words, read into the paper's structured findings (section 2.3.1)."""
