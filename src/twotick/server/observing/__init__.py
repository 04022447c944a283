"""What the operator and programs for monitoring ask a running server."""
