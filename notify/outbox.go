package notify

import (
	"context"
	"time"
)

// Message is what one recipient, or one chat or webhook, is told through one channel.
type Message struct {
	// ID is the same for every attempt, and no other message has it. E-mail uses it in the Message-ID, webhooks as the
	// webhook-id. It has only letters and digits.
	ID string `json:"id"`
	// Channel is EmailChannel, InboxChannel, or the name of a Channel.
	Channel string `json:"channel"`
	// To is who is told; zero for a channel that goes to no single person.
	To Recipient `json:"to,omitzero"`
	// News has at least one entry.
	News    []News    `json:"news"`
	Created time.Time `json:"created"`
	// Delivery is how far it has come.
	Delivery Delivery `json:"delivery"`
}

// Status says whether a message has arrived.
type Status string

// The states of a message.
const (
	// Waiting messages are tried when they are due.
	Waiting Status = "waiting"
	// Sent messages were taken by the server.
	Sent Status = "sent"
	// GivenUp messages were refused too often, or for too long.
	GivenUp Status = "given up"
	// Unsure messages may have arrived; trying again might deliver them twice. See the package comment.
	Unsure Status = "unsure"
)

// Delivery is how far a message has come.
type Delivery struct {
	Status Status `json:"status"`
	// Due is when to try next, while Waiting.
	Due time.Time `json:"due,omitzero"`
	// Attempts counts the attempts, the one under way included. Refused counts those that the server refused for good, and
	// Doubts those whose outcome is not known.
	Attempts int `json:"attempts,omitempty"`
	Refused  int `json:"refused,omitempty"`
	Doubts   int `json:"doubts,omitempty"`
	// Trying says that an attempt has begun. If it is set on a message that nobody is trying, the process ended in the
	// middle, and the outcome is not known.
	Trying bool `json:"trying,omitempty"`
	// Answer is what the server said last, or why it could not be asked, for people and without secrets.
	Answer string `json:"answer,omitempty"`
	// Ended is when the message was Sent, GivenUp or Unsure.
	Ended time.Time `json:"ended,omitzero"`
}

// Outbox keeps what is to be delivered, and the memory of the Policy. Each method is one transaction: when it returns nil
// all of it is durable, when it returns an error none of it is (an error of the disk itself may leave it durable all the
// same, so callers read the state again first). One Notifier at a time writes; readers may look on. A context that has
// ended makes every method fail without effect. Nothing that goes in or out is shared.
type Outbox interface {
	// State returns what Put kept last, and the zero State at first.
	State(ctx context.Context) (State, error)
	// Put keeps state and adds messages, all or nothing. A message whose ID is there already is left as it is.
	Put(ctx context.Context, state State, messages []Message) error
	// Due lists the messages that are Waiting, whose Due is not after now, and whose Channel is not in skip: at most limit,
	// ordered by Due and then by ID.
	Due(ctx context.Context, now time.Time, skip []string, limit int) ([]Message, error)
	// Record replaces the Delivery of a message. An unknown id is a *dirsync.Error of kind NotFound.
	Record(ctx context.Context, id string, d Delivery) error
	// Messages lists the messages of one status, or of all for "", newest first: by Created and then ID, both descending;
	// at most limit, those below before, which is the last of the list before; nil begins.
	Messages(ctx context.Context, status Status, before *Message, limit int) ([]Message, error)
	// PruneMessages removes the messages that Ended before a moment, and returns how many. Waiting ones are never removed.
	PruneMessages(ctx context.Context, before time.Time) (int, error)
}

// Note is one message in somebody's inbox.
type Note struct {
	// User is whose it is, and ID tells it from that person's others.
	User string `json:"user"`
	ID   string `json:"id"`
	Kind Kind   `json:"kind"`
	// Title and Text are plain text; Text may have several lines, or none.
	Title string    `json:"title"`
	Text  string    `json:"text,omitempty"`
	Link  string    `json:"link,omitempty"`
	At    time.Time `json:"at"`
	Read  bool      `json:"read,omitempty"`
}

// Inbox keeps what people see in the application. The rules of Outbox about transactions, contexts and sharing hold.
type Inbox interface {
	// Add adds notes, all or nothing. One whose User and ID are there already is left as it is, read or not.
	Add(ctx context.Context, notes []Note) error
	// Notes lists the notes of a user: the unread before the read, then newest first, then by ID descending; at most
	// limit, those after the given one, which is the last of the list before; nil begins.
	Notes(ctx context.Context, user string, after *Note, limit int) ([]Note, error)
	// Unread counts the unread notes of a user.
	Unread(ctx context.Context, user string) (int, error)
	// Mark makes notes of a user read or unread. Ids that this user does not have are passed over, whoever has them.
	Mark(ctx context.Context, user string, ids []string, read bool) error
	// PruneNotes removes the notes from before a moment, read or not, and returns how many.
	PruneNotes(ctx context.Context, before time.Time) (int, error)
}
