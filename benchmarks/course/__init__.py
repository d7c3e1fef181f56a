"""The introductory course's program, whole: 500 images, five epochs, once for each library."""
