"""Write the page of a comparison."""
