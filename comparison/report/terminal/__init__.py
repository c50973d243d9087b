"""Write a comparison to the terminal."""
