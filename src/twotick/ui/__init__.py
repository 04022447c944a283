"""What people and scripts see: the line client, sending and listening from a shell, the bench and the demo."""
