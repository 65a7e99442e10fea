"""One module a format: each reads a folder of annotated images into neutral records."""
