"""The cache: entries are found, published, verified and pruned. Knows nothing of wheels."""
