"""The figures of a first comparison, and the conclusion from them."""
