package graphtest

import "time"

// Faults are switches, each of which can be set alone or together with any others. All choices that look random follow
// from Seed, so that equal requests meet equal faults.
type Faults struct {
	// Seed varies every choice that looks random.
	Seed uint64

	// PageSize is the number of rows on a page of a delta round at most; zero means the service's 200.
	PageSize int
	// ListPage is the number of rows on a page of a list at most; zero means PageSize, or else what $top asks for.
	ListPage int
	// VaryPages makes the pages of a round differ in size, from one row to the page size.
	VaryPages bool
	// EmptyPages makes every nth page of a round empty, with a link to the next. One would make a round endless.
	EmptyPages int
	// LinkPage is the number of links to members on a page of a round of groups at most; zero means the service's 500.
	LinkPage int
	// Interleave puts other groups between the parts of a group whose members do not fit on a page.
	Interleave bool
	// Repeat delivers every nth row of a round again, on the page after.
	Repeat int
	// OlderFirst makes the first of two deliveries show the object as it was before its last change in the round, and a
	// member who left and joined again as gone.
	OlderFirst bool
	// Replay makes a round that follows another begin n changes too early.
	Replay int
	// Strangers adds n tombstones of objects that never existed to a first round.
	Strangers int
	// Shuffle delivers the rows of a round in no recognisable order.
	Shuffle bool
	// Extras adds properties and annotations that nobody asked for, and makes @odata.context wrong.
	Extras bool

	// Lag hides each change until the clock has gone on by this much, and LagRounds until so many rounds have begun.
	Lag       time.Duration
	LagRounds int
	// Spread answers each request from a replica of its own, which hears of each change late by some time between
	// nothing and this, after Lag. A token is that of the replica that gave it.
	Spread time.Duration
	// IndexLag hides each change from advanced queries until the clock has gone on by this much: they show objects as
	// they were before, or not at all.
	IndexLag time.Duration

	// ShyExtensions takes filters by directory extensions and extension attributes to need an advanced query.
	ShyExtensions bool

	// SoftGroups makes DeleteGroup soft for every kind of group, as the service has begun to do for security groups.
	SoftGroups bool
	// SilentPurge keeps it to itself when a member leaves a group by being deleted for good, as the service has been
	// seen to do: no round of groups tells of it.
	SilentPurge bool

	// ByIDsWide takes directoryObjects/getByIds to need a permission for the whole directory, as its document says, and
	// ByIDsPlain makes it disregard $select, as its document once said.
	ByIDsWide, ByIDsPlain bool

	// TokenPadding makes delta and page tokens longer by so many bytes.
	TokenPadding int
	// Loop makes the nth page of a round link to itself.
	Loop int
	// ForeignLinks makes links lead to this base ("https://evil.example") instead of the tenant's own host.
	ForeignLinks string

	// DeltaLife is how long a delta token lives; zero means seven days.
	DeltaLife time.Duration
	// Rejection is the shape in which an expired delta token is refused.
	Rejection Rejection
	// RejectDelta refuses every delta token as if it had expired.
	RejectDelta bool
	// PageLife is how long a page token lives; zero means one hour.
	PageLife time.Duration
	// ExpirePage refuses the token of the nth page of a round as expired (the first page has none, so two is the
	// least), ExpirePageTimes times; zero times means always.
	ExpirePage, ExpirePageTimes int

	// AccessLife is how long an access token lives; zero means 3599 seconds.
	AccessLife time.Duration

	// EnforceBudget answers 429 when requests have cost more than the service grants an application in one tenant within
	// ten seconds of the tenant's clock: 3,500 resource units with fewer than 50 users, 5,000 with up to 500, else 8,000.
	// Budget is another number of units; zero means these.
	EnforceBudget bool
	Budget        int

	// EnforceWrites answers 429 when more requests have written than the service grants an application in one tenant:
	// 3,000 within 150 seconds of the tenant's clock, those in batches included (Graph, limits of the identity service).
	// WriteLimit is another number of them; zero means that one.
	EnforceWrites bool
	WriteLimit    int
	// BareThrottle leaves Retry-After out of the answers that EnforceBudget and EnforceWrites make.
	BareThrottle bool

	// Conflict is the shape in which a value is refused that another object has.
	Conflict Conflict
	// UniqueNicknames refuses to give a user the mailNickname of another one, as has been reported of some tenants.
	UniqueNicknames bool
	// NoDetails leaves the details out of Graph's error bodies, as parts of the service do.
	NoDetails bool
	// ObeyReturn obeys the preferences return=minimal of a creation and return=representation of an update, as OData
	// 4.01, part 1, section 8.2.8.7 has it. Otherwise they are ignored, because the documents of Graph know of none.
	ObeyReturn bool

	// Limited sends objects as to someone who may not see them: id and type, everything else null.
	Limited bool
	// Denied answers Graph requests with 403 Authorization_RequestDenied, UnknownIdentity with 403
	// Authorization_IdentityNotFound.
	Denied, UnknownIdentity bool
	// Challenge answers with 401 and a claims challenge until a token is asked for with those claims.
	Challenge bool
	// NoMessage leaves the message out of Graph's error bodies.
	NoMessage bool

	// SignIn makes the token endpoint refuse everybody with this AADSTS error number, such as 7000222.
	SignIn int
	// ConsentError makes the administrator decline: what the redirect carries as its error, such as "access_denied".
	ConsentError string
	// SecretFrom is the moment before which the right secret is refused as a wrong one (AADSTS7000215), as happens in
	// the seconds after it was made.
	SecretFrom time.Time

	// Rules make some requests fail. The first rule that matches a request decides.
	Rules []Rule
}

// Rejection is a shape in which Graph refuses a delta token.
type Rejection uint8

// The shapes in which delta tokens have been seen to be refused.
const (
	BadRequest       Rejection = iota // 400 syncStateNotFound
	Gone                              // 410 syncStateNotFound with a Location whose $deltatoken is empty
	GoneResync                        // 410 resyncRequired with a Location that is a fresh delta URL
	GoneNoLocation                    // 410 SyncStateNotFound, in that spelling, without a Location
	GoneNested                        // 410 with an unspecific code and the specific one in a nested innererror
	UnsupportedQuery                  // 400 Request_UnsupportedQuery, "DeltaLink older than 30 days is not supported."
)

// Kind is a kind of request.
type Kind string

// The kinds of request.
const (
	Discovery    Kind = "discovery"
	Token        Kind = "token"
	Consent      Kind = "consent"
	Organization Kind = "organization"
	List         Kind = "list users"
	Get          Kind = "get user"
	Delta        Kind = "delta"
	Deleted      Kind = "deleted items"
	Extensions   Kind = "extension properties"
	GroupList    Kind = "list groups"
	GroupGet     Kind = "get group"
	GroupDelta   Kind = "group delta"
	Members      Kind = "members"
	AllMembers   Kind = "transitive members"
	CheckGroups  Kind = "check member groups"
	ByIDs        Kind = "objects by id"
	SendMail     Kind = "send mail"
	Domains      Kind = "domains"
	// Batch is the request that carries others, each of which has a kind of its own.
	Batch Kind = "batch"
	Other Kind = "other"
)

// The kinds of request that write. UpdateGroup may add members as well; ChangeMembers adds or removes one.
const (
	CreateUser     Kind = "create user"
	UpdateUser     Kind = "update user"
	DeleteUser     Kind = "delete user"
	ChangeManager  Kind = "change manager"
	RestoreDeleted Kind = "restore deleted item"
	PurgeDeleted   Kind = "purge deleted item"
	CreateGroup    Kind = "create group"
	UpdateGroup    Kind = "update group"
	DeleteGroup    Kind = "delete group"
	ChangeMembers  Kind = "change members"
)

// writes tells the kinds that change something in the directory.
func (k Kind) writes() bool {
	switch k {
	case CreateUser, UpdateUser, DeleteUser, ChangeManager, RestoreDeleted, PurgeDeleted,
		CreateGroup, UpdateGroup, DeleteGroup, ChangeMembers:
		return true
	}
	return false
}

// Conflict is a shape in which Graph refuses a value that another object has.
type Conflict uint8

// The shapes in which conflicts have been seen.
const (
	// ConflictDetail is a detail ObjectConflict whose target is the property.
	ConflictDetail Conflict = iota
	// ConflictNamed has a second detail, ConflictingObjects, whose target is the object that has the value: "User_{id}".
	ConflictNamed
	// ConflictVague is the message alone that some property conflicts with some object.
	ConflictVague
)
