"""Make mergeable counts from pairs, in the engine that holds them."""
