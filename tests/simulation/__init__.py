"""What must stay true whatever breaks."""
