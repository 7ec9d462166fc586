package graphtest

// Requests count what the tenant was asked. A request that met a fault counts like any other.
type Requests struct {
	Discovery, Token, Consent, Organization, List, Get, Delta, Deleted, Extensions, Other int
	// GroupList to CheckGroups count the requests about groups.
	GroupList, GroupGet, GroupDelta, Members, AllMembers, CheckGroups int
	// ByIDs counts requests for many objects by their ids.
	ByIDs int
	// SendMail counts mails, those that were refused included.
	SendMail int
	// Total is the sum of all kinds; Throttled are those of them that were answered with 429.
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

func (r *Requests) add(k Kind) {
	r.Total++
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
	default:
		r.Other++
	}
}
