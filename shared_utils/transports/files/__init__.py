"""Jobs as files: what is dropped into one folder comes out in another, with its answer beside it."""
