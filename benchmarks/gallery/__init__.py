"""docs/gallery.md: what every system does, by a real run of its shipped experiment."""
