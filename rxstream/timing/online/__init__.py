"""The clock model of a running stream: chunk by chunk, in constant memory."""
