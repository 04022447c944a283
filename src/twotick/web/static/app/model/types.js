/**
 * The records of the page: what is stored, and what the tabs tell each other. Types only.
 *
 * @typedef {object} FileRecord
 * @property {string} key the key of the file on the server; empty until it is uploaded
 * @property {string} name
 * @property {number} size in bytes
 * @property {string} hash
 * @property {Blob} [blob] its content, if it could not be sent
 * @property {string} [voice] length and waveform of a voice note (rule 16.7)
 *
 * @typedef {object} EventRecord what happened in a room (rule 12.8)
 * @property {string} kind
 * @property {string} member
 * @property {string} role
 * @property {string | null} topic
 * @property {string} access
 * @property {string} room
 * @property {string} guests "yes" or "no" if it is about letting guests in (rule 12.12)
 *
 * @typedef {"waiting" | "accepted" | "delivered" | "read" | "failed"} State
 *
 * @typedef {object} Message
 * @property {string} conversation the key of its conversation
 * @property {string} uid its key in the conversation: the sender in lower case and the Id; see also guestUid
 * @property {string} id
 * @property {string} sender
 * @property {boolean} guest whether a guest has sent it: no member who has the name now (rule 12.14)
 * @property {string} text
 * @property {string} type its Content-type; empty for text
 * @property {number} time in milliseconds since 1970
 * @property {boolean} outgoing
 * @property {number} place its number in the room or in the log; WAITING until the server has given one
 * @property {number} order orders messages with the same place
 * @property {number} seq its number in the log; 0 if it is unknown
 * @property {State | ""} state of a message that the user has sent
 * @property {string} reason why it failed
 * @property {number} have how many members of a room have it
 * @property {number} of of how many
 * @property {[string, string] | null} replyTo sender and Id of the message that it answers
 * @property {string} forwardedFrom
 * @property {Record<string, {body: string, place: number}>} reactions by the names of those who reacted
 * @property {number} edited when it was edited; 0 if it was not
 * @property {number} editPlace the place of the newest edit that was applied
 * @property {number} deleted when it was deleted; 0 if it was not
 * @property {EventRecord | null} event
 * @property {FileRecord | null} file
 * @property {boolean} mention whether it mentions the user
 *
 * @typedef {object} Conversation
 * @property {string} key the name in lower case
 * @property {string} name
 * @property {number} unread
 * @property {number} mentions
 * @property {number} read the number in the log up to which the user has read
 * @property {number} newest the number in the log of the newest message
 * @property {number} recency orders conversations: the highest has had the latest activity
 * @property {boolean} complete whether the oldest message is stored here
 * @property {boolean} muted
 * @property {number} mutedUntil in milliseconds since 1970; 0 for no end
 * @property {boolean} notifyAll whether notifications of a room are wanted for all messages, not only for mentions
 * @property {boolean} blocked
 * @property {boolean} pinned
 * @property {boolean} closed
 * @property {string} role
 * @property {boolean} left whether the user has left the room
 * @property {string} topic
 * @property {string} access
 * @property {boolean} guests whether the room lets guests in
 * @property {number} members
 * @property {{sender: string, guest: boolean, text: string, time: number, state: State | "", uid: string} | null} last
 *
 * @typedef {object} OutboxItem what waits to be sent
 * @property {number} number its place in the order
 * @property {string} id
 * @property {string} to the name of the recipient
 * @property {string} uid the message that it is; empty for a change of another one
 * @property {Record<string, string>} headers
 * @property {string} body
 * @property {number} notBefore when it may be sent, in milliseconds since 1970
 * @property {Blob | null} file
 * @property {string} fileName
 * @property {Message | null} before the message as it was before the change
 *
 * @typedef {object} Account
 * @property {string} name
 * @property {boolean} guest
 * @property {string} token
 * @property {string} device
 *
 * @typedef {"connecting" | "online" | "offline" | "refused"} LinkState
 *
 * @typedef {object} Problem an error, as tabs tell it each other
 * @property {string} name
 * @property {string} message
 * @property {number} [code] the number of the error; 0 if there was no answer, undefined if the server has no part in it
 * @property {string} kind why, as a word (rule 9.12)
 * @property {number} retryAfter in seconds
 *
 * @typedef {object} Link the connection, as the user sees it
 * @property {LinkState} state
 * @property {string} reason
 * @property {Problem} [problem] why the server refuses the connection
 * @property {number} retryAt
 *
 * @typedef {{kind: "put", messages: Message[], conversations: Conversation[], looking?: string}} PutEvent the tab adds which message the user looks at; empty for the newest
 * @typedef {{kind: "removed", conversation: string, uids: string[]}} RemovedEvent
 * @typedef {{kind: "changed", conversation: string, uid: string, change: import("./messages.js").Change}} ChangedEvent of a message that is not stored
 * @typedef {{kind: "link", link: Link}} LinkEvent
 * @typedef {{kind: "presence", presence: Record<string, string>}} PresenceEvent
 * @typedef {{kind: "profiles", profiles: Record<string, Profile>}} ProfilesEvent
 * @typedef {{kind: "typing", conversation: string, name: string, until: number}} TypingEvent
 * @typedef {{kind: "transfer", uid: string, done: number, total: number}} TransferEvent
 * @typedef {{kind: "notice", problem: Problem}} NoticeEvent
 * @typedef {{kind: "signed-out", problem: Problem | null}} SignedOutEvent null if the user has signed out
 * @typedef {{kind: "news", message: Message}} NewsEvent
 * @typedef {PutEvent | RemovedEvent | ChangedEvent | LinkEvent | PresenceEvent | ProfilesEvent | TypingEvent | TransferEvent | NoticeEvent | SignedOutEvent | NewsEvent} Event
 *
 * @typedef {{display: string, status: string, picture: string}} Profile the picture is a hash; all may be empty
 */

export {};
