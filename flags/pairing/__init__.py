"""Score one request on two sides and make one pair of it."""
