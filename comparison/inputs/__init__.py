"""Input tables besides the pairs: files, tables of engines, DataFrames."""
