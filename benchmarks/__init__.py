"""jaxdl's training steps against PyTorch's, side by side in one run."""
