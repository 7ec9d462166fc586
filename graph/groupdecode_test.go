package graph

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"

	"dirsync"
)

func FuzzGroupPage(f *testing.F) {
	f.Add([]byte(`{"value":[{"id":"G","displayName":"A","members@delta":[{"@odata.type":"#microsoft.graph.user","id":"U"},{"@odata.type":"#microsoft.graph.device","id":"d"},{"@odata.type":"#microsoft.graph.group","id":"g","@removed":{"reason":"deleted"}}]}],"@odata.deltaLink":"l"}`))
	f.Add([]byte(`{"value":[{"id":"G","displayName":null}],"@odata.nextLink":"l"}`))
	f.Add([]byte(`{"value":[{"id":"G","@removed":{"reason":"changed"}},{"id":"H","members":[],"members@delta":null, "x" : {"a" :1}}],"@odata.nextLink":"l"}`))
	f.Add([]byte(`{"value":[{"id":"G","members@delta":[ ]},{"id":"G","members@delta":[null]}],"@odata.deltaLink":"l"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		page, err := newGroupDecoder().page(bytes.Clone(body))
		if err != nil {
			return
		}
		var doc struct {
			Value []map[string]json.RawMessage `json:"value"`
		}
		if json.Unmarshal(bytes.ToValidUTF8(body, []byte("\uFFFD")), &doc) != nil {
			t.Fatal("accepted what encoding/json refuses")
		}
		if len(page.records) != len(doc.Value) || page.link == "" {
			t.Fatalf("got %d groups of %d and the link %q", len(page.records), len(doc.Value), page.link)
		}
		for i, r := range page.records {
			row := doc.Value[i]
			if r.ID == "" || r.Kind != dirsync.KindGroup || (r.Gone != dirsync.Present) != (row[removedName] != nil) {
				t.Fatalf("got %+v for %s", r, row)
			}
			if r.Gone != dirsync.Present && (len(r.Attrs) > 0 || len(r.Members) > 0) {
				t.Errorf("a tombstone says more: %+v", r)
			}
			if !slices.IsSortedFunc(r.Attrs, func(a, b dirsync.Attribute) int { return strings.Compare(a.Name, b.Name) }) {
				t.Errorf("the attributes of %q are not sorted", r.ID)
			}
			for _, a := range r.Attrs {
				if !json.Valid(a.Raw) {
					t.Errorf("%s of %q is no JSON: %q", a.Name, r.ID, a.Raw)
				}
			}
			if r.Gone == dirsync.Present {
				sameMembers(t, r.Members, row[membersDelta])
			}
		}
	})
}

// sameMembers compares members with what encoding/json reads.
func sameMembers(t *testing.T, got []dirsync.MemberChange, raw json.RawMessage) {
	t.Helper()
	var links []map[string]json.RawMessage
	if raw != nil && json.Unmarshal(raw, &links) != nil {
		t.Fatalf("accepted members that encoding/json refuses: %s", raw)
	}
	var want []dirsync.MemberChange
	for _, link := range links {
		var id, kind string
		_, _ = json.Unmarshal(link["id"], &id), json.Unmarshal(link[typeName], &kind)
		if k, ok := memberKind(kind); ok {
			want = append(want, dirsync.MemberChange{ID: dirsync.ID(strings.ToLower(id)), Kind: k, Removed: link[removedName] != nil && string(link[removedName]) != "null"})
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v of %s", got, want, raw)
	}
}

func FuzzMemberList(f *testing.F) {
	f.Add([]byte(`{"value":[{"@odata.type":"#microsoft.graph.user","id":"U"},{"@odata.type":"#microsoft.graph.device","id":"d"}],"@odata.nextLink":"l"}`))
	f.Add([]byte(`{"value":[],"@odata.nextLink":null}`))
	f.Add([]byte(`{"value":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		members, _, err := memberList(body, "g")
		if err != nil && members != nil {
			t.Error("members came with an error")
		}
		for _, m := range members {
			if m.Group != "g" || m.Member == "" || string(m.Member) != strings.ToLower(string(m.Member)) {
				t.Errorf("got %+v", m)
			}
		}
	})
}

func groupSource(t testing.TB, cfg GroupsConfig) *GroupSource {
	t.Helper()
	c, err := New(Config{Tenant: "6f89cf12-978b-4d23-ac18-9ef0c127cf87", ClientID: "00d88624-0b5a-4d4c-9b4f-0f3d2b1c8928", Credential: Credential{Secret: "x"}})
	if err != nil {
		t.Fatal(err)
	}
	return c.Groups(cfg)
}

const (
	homeGroups = "https://graph.microsoft.com/v1.0/groups/delta?$deltatoken=x"
	someGroup  = dirsync.ID("11111111-2222-4333-8444-555555555555")
)

// No cursor, whoever made it, leads anywhere but home, or to anything but groups.
func FuzzGroupCursor(f *testing.F) {
	s := groupSource(f, GroupsConfig{Chosen: []string{"Sales"}, Nested: true})
	m := groupMark{Tenant: s.client.cfg.Tenant, Select: groupProperties(), Nested: true, Chosen: []pinned{{"Sales", someGroup}},
		Streams: []stream{{IDs: []dirsync.ID{someGroup}, Link: homeGroups, Done: true}, {IDs: []dirsync.ID{someGroup}, First: true, Unseen: []dirsync.ID{someGroup}}},
		Found:   []dirsync.ID{someGroup}}
	f.Add(string(m.cursor()))
	m.Streams[1] = stream{IDs: []dirsync.ID{someGroup}, Link: "https://evil.example/v1.0/groups/delta?$deltatoken=x"}
	f.Add(string(m.cursor()))
	m.Streams[1] = stream{Link: homeGroups}
	f.Add(string(m.cursor()))
	f.Add(`{"v":1,"k":"groups","g":[{}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, c := range s.Chosen(dirsync.Cursor(text)) {
			if c.Name != "Sales" {
				t.Errorf("%q was chosen", c.Name)
			}
		}
		if _, err := s.parseCursor(s.Again(dirsync.Cursor(text))); errors.Is(err, dirsync.ErrCursorExpired) {
			t.Errorf("from the beginning of %q: %v", text, err)
		}
		m, err := s.parseCursor(dirsync.Cursor(text))
		if err != nil || text == "" {
			return
		}
		for _, stream := range m.Streams {
			if u, err := url.Parse(stream.Link); stream.Link != "" && (err != nil || u.Scheme != "https" || !strings.EqualFold(hostPort(u), "graph.microsoft.com:443") || u.User != nil || !strings.HasPrefix(strings.ToLower(u.Path), "/v1.0/groups/")) {
				t.Errorf("%q leads to %s", text, stream.Link)
			}
			if len(stream.IDs) == 0 || len(stream.IDs) > streamIDs {
				t.Errorf("%q has a stream of %d groups", text, len(stream.IDs))
			}
		}
		for id := range m.followed() {
			if !isGUID(string(id)) {
				t.Errorf("%q follows %q", text, id)
			}
		}
		again, err := s.parseCursor(m.cursor())
		if err != nil || string(again.cursor()) != string(m.cursor()) {
			t.Errorf("%q is read as\n%s and then, %v, as\n%s", text, m.cursor(), err, again.cursor())
		}
	})
}
