"""jaxdl beside transformers on torch: an update of a masked model, embeddings, texts written."""
