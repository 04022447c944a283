"""All that a store can be asked, and its answers; a module for each subject."""
