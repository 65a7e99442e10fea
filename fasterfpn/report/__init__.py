"""The report of a run: charts, pictures with boxes, tables, and the page that holds them."""
