"""Labels matched with pairs, and counted by the side that answered."""
