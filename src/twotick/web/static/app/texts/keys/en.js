/** The keys that the page shares with the terminal app, made by tests/web/tables.py. */
export default ["Keys", [
  ["Writing", [
    ["Enter", "Send", "", false],
    ["Shift+Enter", "New line", "", false],
  ]],
  ["Anywhere", [
    ["Ctrl+K", "Go to ...", "Find a conversation, or start one", false],
    ["Alt+↓ Ctrl+↓", "Next conversation", "The one below in the list", false],
    ["Alt+↑ Ctrl+↑", "Previous conversation", "The one above in the list", false],
    ["Alt+A F3", "Next unread conversation", "Mentions come first", false],
    ["F6", "Rooms", "Browse rooms, and join one", true],
    ["F7", "New room", "Create a room", true],
    ["F2", "Details", "Of the conversation and the selected message", false],
    ["F1", "Keys", "List all keys", false],
  ]],
  ["With a message selected", [
    ["↑", "Message above", "", false],
    ["↓", "Message below", "", false],
    ["Esc", "Back to writing", "", false],
    ["a", "Send again", "If it was not delivered", false],
    ["x", "Cancel", "Do not send a message that waits", false],
    ["r", "Reply", "Reply to the message", true],
    ["+", "React", "The same emoji again removes it", true],
    ["e", "Edit", "Edit your message", true],
    ["d Delete", "Delete", "", true],
    ["t", "Thread", "The message and all answers to it", true],
    ["f", "Forward", "To another conversation", false],
    ["p", "Pin", "For all in the conversation; again unpins it", true],
    ["c y", "Copy the message", "To the clipboard", false],
    ["i", "Receipts", "Who has received and read it", true],
  ]],
]];
