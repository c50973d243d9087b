"""Tables that somebody hands in beside the pairs: files, tables of engines, DataFrames."""
