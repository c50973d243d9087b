"""Write what people and programs read: page, terminal, JSON."""
