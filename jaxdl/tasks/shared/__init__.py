"""What several tasks are made of; what is learned stands in the files beside this folder."""
