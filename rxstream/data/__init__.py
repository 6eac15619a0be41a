"""What flows: chunks, their times, gaps and descriptions, and the stores that hold samples."""
