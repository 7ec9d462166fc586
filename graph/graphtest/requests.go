package graphtest

// Requests count what the tenant was asked. A request that met a fault counts like any other, and one in a batch is
// counted by its kind as if it had come alone.
type Requests struct {
	Discovery, Token, Consent, Organization, List, Get, Delta, Deleted, Extensions, Other int
	// GroupList to CheckGroups count the requests about groups.
	GroupList, GroupGet, GroupDelta, Members, AllMembers, CheckGroups int
	// ByIDs counts requests for many objects by their ids.
	ByIDs int
	// SendMail counts mails, those that were refused included.
	SendMail int
	// Domains counts questions for the verified domains.
	Domains int
	// CreateUser to ChangeMembers count the writes by their kinds, and Writes all of them.
	CreateUser, UpdateUser, DeleteUser, ChangeManager, RestoreDeleted, PurgeDeleted int
	CreateGroup, UpdateGroup, DeleteGroup, ChangeMembers                            int
	Writes                                                                          int
	// Batch counts batches and Inner the requests in them.
	Batch, Inner int
	// Total are the requests that came over the wire, of which a batch is one: the sum of all kinds without Inner.
	// Throttled are those that were answered with 429, in batches or alone.
	Total, Throttled int
}

// Graph counts the requests to Graph, without those to the sign-in service.
func (r Requests) Graph() int { return r.Total - r.Discovery - r.Token - r.Consent }

// Requests returns the counts since the tenant was made, or since ResetRequests.
func (t *Tenant) Requests() Requests {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.requests
}

// ResetRequests sets all counts to zero.
func (t *Tenant) ResetRequests() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests = Requests{}
}

func (r *Requests) add(k Kind, inner bool) {
	if inner {
		r.Inner++
	} else {
		r.Total++
	}
	if k.writes() {
		r.Writes++
		r.addWrite(k)
		return
	}
	switch k {
	case Discovery:
		r.Discovery++
	case Token:
		r.Token++
	case Consent:
		r.Consent++
	case Organization:
		r.Organization++
	case List:
		r.List++
	case Get:
		r.Get++
	case Delta:
		r.Delta++
	case Deleted:
		r.Deleted++
	case Extensions:
		r.Extensions++
	case GroupList:
		r.GroupList++
	case GroupGet:
		r.GroupGet++
	case GroupDelta:
		r.GroupDelta++
	case Members:
		r.Members++
	case AllMembers:
		r.AllMembers++
	case CheckGroups:
		r.CheckGroups++
	case ByIDs:
		r.ByIDs++
	case SendMail:
		r.SendMail++
	case Domains:
		r.Domains++
	case Batch:
		r.Batch++
	default:
		r.Other++
	}
}

func (r *Requests) addWrite(k Kind) {
	switch k {
	case CreateUser:
		r.CreateUser++
	case UpdateUser:
		r.UpdateUser++
	case DeleteUser:
		r.DeleteUser++
	case ChangeManager:
		r.ChangeManager++
	case RestoreDeleted:
		r.RestoreDeleted++
	case PurgeDeleted:
		r.PurgeDeleted++
	case CreateGroup:
		r.CreateGroup++
	case UpdateGroup:
		r.UpdateGroup++
	case DeleteGroup:
		r.DeleteGroup++
	case ChangeMembers:
		r.ChangeMembers++
	}
}
