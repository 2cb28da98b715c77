"""Pictures of a data set, as SVG and HTML that need nothing but a browser."""
