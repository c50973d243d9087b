"""What the flag drew, and what happened downstream by the side that it assigned."""
